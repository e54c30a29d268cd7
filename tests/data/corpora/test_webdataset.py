"""WebDataset shards: samples grouped by key, harm refused, and what is whole of a damaged shard read."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from raw_speechcoco import picture, sound

from lookhear.data.corpora import tarshards, webdataset
from lookhear.data.corpora.webdataset import open_raw, recognises
from lookhear.data.items import Item, Problems
from lookhear.data.prepare import PROBLEMS, prepare
from lookhear.data.schema import Corpus
from lookhear.errors import UserError

Member = tuple[str, bytes | tarfile.TarInfo]


def shard(path: Path, members: list[Member], form: int = tarfile.PAX_FORMAT) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w", format=form) as tar:
        for name, content in members:
            if isinstance(content, tarfile.TarInfo):
                tar.addfile(content)
                continue
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def link(name: str, kind: bytes, to: str) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, to
    return info


def whole(key: str, seed: int, **about: Any) -> list[Member]:
    return [
        (f"{key}.jpg", picture(seed)),
        (f"{key}.json", json.dumps({"speaker": "anna", "votes": seed, **about}).encode()),
        (f"{key}.txt", f"a dog {seed}\n".encode()),
        (f"{key}.wav", sound(seed)),
    ]


def make(raw: Path, out: Path, **how: Any) -> Corpus:
    return prepare(raw, out, layout="webdataset", **{"workers": 0, "progress": False, **how})


def problems(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / PROBLEMS).read_text().splitlines()]


def read(raw: Path, **options: str) -> tuple[list[Item], int]:
    noted = Problems()
    items = list(open_raw(raw, options).items(noted))
    return items, noted.refused


@pytest.mark.parametrize(
    "form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT], ids=["ustar", "gnu", "pax"]
)
def test_it_holds_what_the_shards_hold(tmp_path: Path, form: int) -> None:
    raw = tmp_path / "raw"
    long = "deep/" * 15 + "k" * 90
    words = [{"word": "a", "start": 0.01, "end": 0.1}]
    shard(raw / "train-000.tar", [*whole("a/0", 0, words=words), *whole(long, 1, group="g")], form)
    shard(raw / "train-001.tar", whole("2", 2), form)
    shard(raw / "dev" / "000.tar", [("3.cls", b"7\n"), *whole("3", 3, split="test"), *whole("4", 4, votes=4.5)], form)
    assert recognises(raw)
    made = make(raw, tmp_path / "c")
    order = ["3", "4", "a/0", long, "2"]
    seeds = [3, 4, 0, 1, 2]
    assert made.column("id") == order
    assert made.column("group") == ["3", "4", "a/0", "g", "2"]
    assert made.column("split") == ["test", "val", "train", "train", "train"]
    assert made.column("text") == [f"a dog {k}" for k in seeds]
    assert made.column("speaker") == ["anna"] * 5
    assert made.column("votes") == [3, 4.5, 0, 1, 2]
    assert made.column("cls") == ["7", None, None, None, None]
    assert made.column("words") == [None, None, words, None, None]
    for row, seed in enumerate(seeds):
        assert made.media("audio", row) == sound(seed)
        assert made.media("image", row) == picture(seed)
    assert problems(tmp_path / "c") == []


def test_a_list_of_captions_gives_an_item_each(tmp_path: Path) -> None:
    about = json.dumps({"captions": ["one", "two"], "split": "valid"}).encode()
    raw = shard(tmp_path / "x.tar", [("p.png", picture(1)), ("p.json", about), ("p.WAV", sound(1))])
    items, _ = read(raw)
    assert [(i.id, i.text, i.group, i.split) for i in items] == [("p_0", "one", "p", "val"), ("p_1", "two", "p", "val")]
    assert [i.audio is not None for i in items] == [True, False]
    assert {i.image.name for i in items if i.image} == {"x.tar/p.png"}


def test_suffixes_may_be_named_and_the_others_are_told_of_once(tmp_path: Path) -> None:
    members: list[Member] = []
    for k in range(3):
        members += [(f"{k}.left.jpg", picture(k)), (f"{k}.right.jpg", picture(9 + k)), (f"{k}.npy", b"x")]
        members += [(f"{k}.txt", b"a")]
    raw = shard(tmp_path / "x.tar", members)
    items, _ = read(raw, image=".right.jpg")
    assert [i.image.data for i in items if i.image] == [picture(9 + k) for k in range(3)]
    make(raw, tmp_path / "c", options={"image": "right.jpg"})
    assert [p["what"] for p in problems(tmp_path / "c")] == [
        "members .left.jpg: not read, from '0' on",
        "members .npy: not read, from '0' on",
    ]
    plain = shard(tmp_path / "y.tar", [("0.seg.jpg", picture(0)), ("0.jpg", picture(1)), ("0.txt", b"a")])
    (item,), _ = read(plain)
    assert item.image is not None
    assert item.image.data == picture(1)


def test_shards_are_chosen_by_pattern_and_may_number_anew(tmp_path: Path) -> None:
    for name in ("train-0", "train-1", "other"):
        shard(tmp_path / "raw" / f"{name}.tar", whole("0", 0))
    items, _ = read(tmp_path / "raw", ids="shard")
    assert [i.id for i in items] == ["other/0", "train-0/0", "train-1/0"]
    assert [i.id for i in read(tmp_path / "raw", ids="shard", shards="train-*.tar")[0]] == ["train-0/0", "train-1/0"]
    assert len(read(tmp_path / "raw" / "train-*.tar")[0]) == 2
    assert len(read(tmp_path / "*" / "train-*.tar")[0]) == 2
    made = make(tmp_path / "raw", tmp_path / "c")
    assert len(made) == 1
    assert [p["what"] for p in problems(tmp_path / "c")] == ["a second item '0'"] * 2
    for options, said in (
        ({"shards": "../*.tar"}, "climbs out"),
        ({"shards": "none*"}, "no shards"),
        ({"ids": "x"}, "key or shard"),
        ({"shard": "x"}, "did you mean 'shards'"),
    ):
        with pytest.raises(UserError, match=said):
            open_raw(tmp_path / "raw", options)


HARMS: dict[str, tuple[list[Member], str]] = {
    "symbolic link": ([("b.jpg", link("b.jpg", tarfile.SYMTYPE, "/etc/passwd"))], "is a link"),
    "hard link": ([("b.jpg", link("b.jpg", tarfile.LNKTYPE, "a.jpg"))], "is a link"),
    "device": ([("b.jpg", link("b.jpg", tarfile.CHRTYPE, ""))], "no plain file"),
    "absolute": ([("/b.jpg", picture(1))], "climbs out"),
    "climbs": ([("x/../../b.jpg", picture(1))], "climbs out"),
    "drive": ([("c:\\b.jpg", picture(1))], "climbs out"),
    "backslashes": ([("x\\..\\b.jpg", picture(1))], "climbs out"),
    "large text": ([("b.txt", b"a" * (tarshards.MAX_TEXT + 1))], "more than"),
    "no suffix": ([("b", b"a")], "no suffix"),
    "twice": ([("b.txt", b"a"), ("b.txt", b"b")], "a second member"),
    "not JSON": ([("b.txt", b"a"), ("b.json", b"{")], "not JSON"),
    "deep JSON": ([("b.txt", b"a"), ("b.json", b"[" * 100_000)], "not JSON"),
    "no object": ([("b.txt", b"a"), ("b.json", b"[]")], "not a JSON object"),
    "not UTF-8": ([("b.txt", b"\xff")], "not UTF-8"),
    "word times": ([("b.txt", b"a"), ("b.json", b'{"words": [{"word": 1, "start": "x", "end": 2}]}')], "no numbers"),
    "type": ([("b.txt", b"a"), ("b.json", b'{"votes": "many"}')], "'many' in a column of double"),
    "nothing": ([("b.npy", b"a")], "no recording, picture or text"),
}


@pytest.mark.parametrize("harm", HARMS)
def test_a_sample_that_is_wrong_is_refused_and_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, harm: str
) -> None:
    monkeypatch.setattr(webdataset, "LOOKED_AT", 1)
    members, said = HARMS[harm]
    raw = shard(tmp_path / "raw" / "x.tar", [*whole("a", 0), *members, *whole("c", 2)])
    made = make(raw, tmp_path / "c")
    assert made.column("id") == ["a", "c"]
    told = [p for p in problems(tmp_path / "c") if p["done"] == "refused"]
    assert len(told) == 1
    assert said in told[0]["what"]
    assert told[0]["fix"]
    assert told[0]["file"] == str(raw)
    assert [p.name for p in tmp_path.rglob("*") if p.suffix in (".jpg", ".wav", ".txt")] == []
    with pytest.raises(UserError, match=said):
        make(raw, tmp_path / "strict", strict=True)


def test_a_sparse_member_and_a_large_one_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sparse = tarfile.TarInfo("b.wav")
    sparse.pax_headers = {
        "GNU.sparse.major": "0",
        "GNU.sparse.minor": "1",
        "GNU.sparse.map": "0,1",
        "GNU.sparse.size": str(1 << 50),
        "GNU.sparse.realsize": str(1 << 50),
    }
    raw = shard(tmp_path / "x.tar", [*whole("a", 0), ("b.wav", sparse), *whole("c", 2)])
    items, refused = read(raw)
    assert ([i.id for i in items], refused) == (["a", "c"], 1)
    monkeypatch.setattr(tarshards, "MAX_MEMBER", len(sound(1)) - 1)
    raw = shard(tmp_path / "y.tar", [("a.txt", b"a"), ("b.wav", sound(1)), ("c.txt", b"c")])
    items, refused = read(raw)
    assert ([i.id for i in items], refused) == (["a", "c"], 1)


@pytest.mark.parametrize("cut", [0, 100, 512, 700, 1536, 11000, 20000, 21000, 30000])
def test_of_a_shard_that_is_cut_off_what_is_whole_is_read(tmp_path: Path, cut: int) -> None:
    path = shard(tmp_path / "x.tar", [m for k in range(3) for m in whole(f"{k}", k)])
    with tarfile.open(path) as tar:
        begun = [m.name.split(".")[0] for m in tar if m.offset + 512 <= cut]
    path.write_bytes(path.read_bytes()[:cut])
    items, refused = read(path)
    assert [i.id for i in items] == list(dict.fromkeys(begun))[:-1]
    assert refused == 1


def test_damage_joined_archives_and_endless_headers_are_told_of(tmp_path: Path) -> None:
    one = shard(tmp_path / "x.tar", [*whole("a", 0), *whole("b", 1)])
    data = one.read_bytes()
    with tarfile.open(one) as tar:
        second = next(m.offset for m in tar if m.name == "b.jpg")
    # Long names in a chain, which tarfile reads by calling itself.
    chain = tarfile.TarInfo("././@LongLink")
    chain.type, chain.size = tarfile.GNUTYPE_LONGNAME, 512
    link = chain.tobuf(tarfile.GNU_FORMAT) + b"x" * 512
    # A size below nothing leads tarfile back to where it was.
    back = bytearray(data[second : second + 512])
    back[124:136] = (-4096 & ((1 << 96) - 1)).to_bytes(12)
    back[148:156] = b"        "
    back[148:156] = f"{sum(back):06o}\0 ".encode()
    for spoiled, ids in (
        (data + shard(tmp_path / "y.tar", whole("c", 2)).read_bytes(), ["a", "b"]),
        (data[:second] + b"\x99" * 512 + data[second + 512 :], []),
        (b"\x1f\x8b" + data[2:], []),
        (data[:second] + link * 3000, []),
        (data[:second] + back + data[second + 512 :], []),
    ):
        one.write_bytes(spoiled)
        items, refused = read(one)
        assert [i.id for i in items] == ids
        assert refused == 1


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 1 << 15), st.binary(max_size=600), st.booleans())
def test_a_broken_shard_never_ends_in_a_traceback(
    tmp_path_factory: pytest.TempPathFactory, place: int, junk: bytes, cut: bool
) -> None:
    members = [
        (f"{k}.{suffix}", b"{}" if suffix == "json" else b"a" * 100) for k in range(5) for suffix in ("txt", "json")
    ]
    path = shard(tmp_path_factory.mktemp("tar") / "x.tar", members)
    data = path.read_bytes()
    place %= len(data)
    spoiled = data[:place] if cut else data[:place] + junk + data[place + len(junk) :]
    path.write_bytes(spoiled)
    items, refused = read(path)
    if spoiled != data:
        # A change within a text or a header's dates may well leave five whole samples.
        assert len(items) == 5 or refused
    else:
        assert (len(items), refused) == (5, 0)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.text(min_size=1, max_size=12), st.sampled_from(["txt", "json", "cls", "wav"]), st.binary(max_size=9)
        ),
        min_size=1,
        max_size=8,
    )
)
def test_every_sample_is_an_item_or_a_problem(
    tmp_path_factory: pytest.TempPathFactory, members: list[tuple[str, str, bytes]]
) -> None:
    named = [(f"{k}-{name}.{suffix}", data) for k, (name, suffix, data) in enumerate(members)]
    try:
        path = shard(tmp_path_factory.mktemp("tar") / "x.tar", [(n, d) for n, d in named])
    except (UnicodeEncodeError, ValueError):
        return
    items, refused = read(path)
    with tarfile.open(path) as tar:
        count = len(tar.getmembers())
    assert len(items) + refused == count


def test_other_folders_are_not_taken_for_shards(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    assert not recognises(tmp_path / "a")
    shard(tmp_path / "a" / "x.tar", whole("0", 0))
    assert recognises(tmp_path / "a")
    assert recognises(tmp_path)
    assert recognises(tmp_path / "a" / "x.tar")
    (tmp_path / "a" / "manifest.jsonl").write_text("{}")
    assert not recognises(tmp_path / "a")
