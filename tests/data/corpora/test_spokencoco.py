"""SpokenCOCO: each form of its lists read, whatever is wrong with them, and written as such."""

from __future__ import annotations

import json
import re
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import raw_places
import raw_spokencoco
from hypothesis import given, settings
from hypothesis import strategies as st
from raw_places import picture, problems, sound

from lookhear.data.corpora import layout_of
from lookhear.data.corpora.spokencoco import image_id, open_raw, recognises, sentence_id, write_raw
from lookhear.data.items import Item, Problems
from lookhear.data.schema import SCHEMA, Corpus
from lookhear.errors import UserError

KARPATHY = {"train": 3, "val": 2, "test": 2}
SAME = ("group", "split", "text", "speaker", "language", "words")


make = partial(raw_places.make, "spokencoco")


def items(source: Path, noted: Problems | None = None, **options: str) -> list[Item]:
    return list(open_raw(source, options).items(noted or Problems()))


@pytest.mark.parametrize("form", raw_spokencoco.FORMS)
@pytest.mark.parametrize("images", ["mscoco_img", "."])
def test_each_form_is_read_whole(tmp_path: Path, form: str, images: str) -> None:
    folder = tmp_path / "SpokenCOCO"
    told = raw_spokencoco.write(folder, {"train": 3, "val": 2} if form == "plain" else KARPATHY, form, images)
    assert recognises(folder)
    assert recognises(tmp_path)
    made = make(folder, tmp_path / "c", layout="")
    assert made.meta["prepared"]["layout"] == "spokencoco"
    rows = iter(made.table.drop_columns(["audio", "image"]).to_pylist())
    at = 0
    for split, shown in told.items():
        for value in shown:
            number = int(value["image"][-16:-4])
            for k, caption in enumerate(value["captions"]):
                row = next(rows)
                assert row["id"] == caption["uttid"]
                assert row["split"] == split
                assert row["group"] == value["image"]
                assert (row["text"], row["speaker"]) == (caption["text"], caption["speaker"])
                assert (row["image_id"], row["sentence_id"]) == (number, 1000 * number + k)
                assert made.media("audio", at) == sound(1000 * number + k)
                if form == "aligned":
                    assert [tuple(w.values()) for w in row["words"]] == [("A", 0.0, 0.05), ("man", 0.05, 0.12)]
                if k == 0:
                    assert made.media("image", at) == picture(number)
                at += 1
    assert at == len(made)
    assert len(made.pictures) == sum(len(shown) for shown in told.values())
    assert made.meta["problems"] == {"refused": 0, "repaired": len(made) if form == "aligned" else 0}


def test_one_of_several_lists_of_a_split_is_read(tmp_path: Path) -> None:
    raw_spokencoco.write(tmp_path, {"train": 3, "val": 4})
    raw_spokencoco.write(tmp_path, KARPATHY, "unrolled")
    raw_spokencoco.write(tmp_path, KARPATHY, "karpathy")
    raw_spokencoco.write(tmp_path, {"val": 1}, "aligned")

    def told(**options: str) -> dict[str, int]:
        splits = [i.split for i in items(tmp_path, **options)]
        return {str(s): splits.count(s) for s in dict.fromkeys(splits)}

    assert told() == {"train": 9, "val": 3, "test": 6}
    assert {Path(i.file).name.removeprefix("SpokenCOCO_") for i in items(tmp_path)} == {
        "train_karpathy.json",
        "val_unrolled_karpathy_with_alignments.json",
        "test_karpathy.json",
    }
    assert told(lists="plain") == {"train": 9, "val": 12}
    one = tmp_path / "SpokenCOCO_test_unrolled_karpathy.json"
    assert layout_of(one) == "spokencoco"
    assert {i.split for i in items(one)} == {"test"}
    with pytest.raises(UserError, match="did you mean 'plain'"):
        open_raw(tmp_path, {"lists": "plan"})
    with pytest.raises(UserError, match="did you mean 'images'"):
        open_raw(tmp_path, {"image": "x"})


def test_scattered_captions_of_a_picture_stand_together(tmp_path: Path) -> None:
    raw_spokencoco.write(tmp_path, {"train": 3}, "unrolled")
    path = tmp_path / "SpokenCOCO_train_unrolled_karpathy.json"
    data = json.loads(path.read_text())["data"]
    path.write_text(json.dumps({"data": data[::2] + data[1::2]}))
    groups = [i.group for i in items(tmp_path)]
    assert groups == [data[n]["image"] for n in (0, 0, 0, 4, 4, 4, 6, 6, 6)]


def test_pictures_may_lie_beside_or_be_named(tmp_path: Path) -> None:
    folder = tmp_path / "set" / "SpokenCOCO"
    raw_spokencoco.write(folder, {"val": 2}, images="../val")
    with pytest.raises(UserError, match=r"pictures are \(such as 'val2014/COCO_val2014_000000000009.jpg'\)"):
        open_raw(folder, {})
    assert len(items(folder, images=str(folder.parent / "val"))) == 6
    assert {i.image for i in items(folder, images="none")} == {None}
    for place in ("mscoco_img", "coco"):
        (folder.parent / "val").rename(folder.parent / place)
        assert len(items(folder)) == 6
        (folder.parent / place).rename(folder.parent / "val")
    (folder.parent / "val" / "val2014").rename(folder.parent / "val2014")
    assert len(items(tmp_path / "set")) == 6
    (folder / "wavs").rename(tmp_path / "set" / "wavs")
    assert len(items(folder, audio=str(tmp_path / "set"))) == 6


def test_ids_are_the_last_fields_of_names() -> None:
    assert image_id("train2014/COCO_train2014_000000391895.jpg") == 391895
    assert sentence_id("m1a5mox83rrx60-3YOH7BII097ECZKUD46WA8JS5FKKV3_391895_771687") == 771687
    assert image_id("gsun.jpg") is image_id("") is image_id("a_1_b.jpg") is sentence_id("a_" + "9" * 30) is None
    assert sentence_id("a_²") is None


BROKEN = {
    "wav": (lambda v: v["captions"][1].update(wav="wavs/x.wav"), "no such file", 1),
    "climbs": (lambda v: v["captions"][1].update(wav="../../x.wav"), "climbs out", 1),
    "uttid": (lambda v: v["captions"][1].pop("uttid"), "no 'uttid'", 1),
    "caption": (lambda v: v["captions"].__setitem__(1, "a man"), "not a JSON object", 1),
    "image": (lambda v: v.update(image="../../etc/x.jpg"), "climbs out", 3),
    "no image": (lambda v: v.pop("image"), "no 'image'", 3),
    "no captions": (lambda v: v.update(captions=[]), "no captions", 1),
    "captions": (lambda v: v.update(captions={"text": "a"}), "no captions", 1),
}


@pytest.mark.parametrize("harm", BROKEN)
def test_what_is_wrong_is_refused_and_told_of(tmp_path: Path, harm: str) -> None:
    spoil, said, times = BROKEN[harm]
    folder = tmp_path / "raw"
    raw_spokencoco.write(folder, KARPATHY, "karpathy")
    path = folder / "SpokenCOCO_train_karpathy.json"
    data = json.loads(path.read_text())["data"]
    spoil(data[1])
    path.write_text(json.dumps({"data": data}, indent=1))
    made = make(folder, tmp_path / "c")
    noted = problems(tmp_path / "c")
    assert len(made) == 21 - (3 if "captions" in harm else times)
    assert len(noted) == times
    line = [n for n, text in enumerate(path.read_text().split("\n"), 1) if text == "  {"][1]
    for problem in noted:
        assert (problem["file"], problem["line"], problem["done"]) == (str(path), line, "refused")
        assert said in problem["what"]
        assert problem["what"].startswith("entry 2: ")
    with pytest.raises(UserError, match=said):
        make(folder, tmp_path / "strict", strict=True)


def test_damaged_text_costs_its_entry_alone(tmp_path: Path) -> None:
    folder = tmp_path / "raw"
    raw_spokencoco.write(folder, KARPATHY, "karpathy")
    path = folder / "SpokenCOCO_train_karpathy.json"
    text = path.read_text()
    path.write_text(text.replace('"speaker": "m1a5mox83rrx61"', '"speaker: "m1a5mox83rrx61"', 1))  # of the first
    made = make(folder, tmp_path / "c")
    assert len(made) == 18
    (problem,) = problems(tmp_path / "c")
    assert "entry 1: not JSON" in problem["what"]
    path.write_bytes(text.encode()[: text.index("_10_10001")])
    made = make(folder, tmp_path / "d")
    assert made.column("split") == ["train"] * 3 + ["val"] * 6 + ["test"] * 6
    (problem,) = problems(tmp_path / "d")
    assert "entry 2: not JSON" in problem["what"]


def any_corpus(tmp_path: Path, **change: Any) -> Corpus:
    """Of a general kind; one group and one id have the layout's form, and one id another picture's number."""
    coco = "val2014/COCO_val2014_000000000001.jpg"
    rows: list[dict[str, Any]] = [
        {"id": "ü/1", "group": "seven", "split": "train", "image": {"path": "a.png", "bytes": picture(2)}},
        {"id": "b", "group": "seven", "split": "train", "speaker": "Ann-Lü", "words": []},
        {"id": "ann-x_1_2", "group": coco, "split": "test", "image": {"path": "x", "bytes": picture(1)}},
        {"id": "ann-x_7_1", "group": coco, "split": "val", "text": "ä", "language": "yo"},
        {"id": "c", "group": "seven", "words": [{"word": "a", "start": 1 / 30, "end": 0.1}], "text": "a"},
        {"id": "d", "group": "seven", "split": "train", "image": {"path": None, "bytes": picture(4)}},
    ]
    for n, row in enumerate(rows):
        row["audio"] = {"path": f"{n}.wav", "bytes": sound(n)}
    rows[0].update(change)
    return Corpus(pa.Table.from_pylist(rows, schema=SCHEMA), tmp_path, "any")


def assert_same(made: Corpus, meant: Corpus, shown: dict[str, bytes]) -> None:
    at = {key: n for n, key in enumerate(made.column("id"))}
    assert sorted(at) == sorted(meant.column("id"))
    for name in SAME:
        got, want = made.column(name), meant.column(name)
        for n, key in enumerate(meant.column("id")):
            assert got[at[key]] == want[n], (key, name)
    last = None
    for key, n in at.items():
        last = made.media("image", n) if made.column("image")[n] is not None else last
        assert last == shown[key], key
    for n, key in enumerate(meant.column("id")):
        assert made.media("audio", at[key]) == meant.media("audio", n)


def test_any_corpus_comes_back_the_same_in_names_that_others_take_apart(tmp_path: Path) -> None:
    meant = any_corpus(tmp_path)
    write_raw(meant, tmp_path / "raw")
    made = make(tmp_path / "raw", tmp_path / "c", layout="")
    assert made.meta["problems"] == {"refused": 0, "repaired": 0}
    seeds = {"ü/1": 2, "b": 2, "ann-x_1_2": 1, "ann-x_7_1": 1, "c": 2, "d": 4}
    assert_same(made, meant, {key: picture(n) for key, n in seeds.items()})

    names = sorted(p.name for p in (tmp_path / "raw").glob("*.json"))
    assert names == [f"SpokenCOCO_{s}_karpathy.json" for s in ("all", "test", "train", "val")]
    sentences, images = set(), {}
    for name in names:
        for entry in json.loads((tmp_path / "raw" / name).read_text())["data"]:
            assert re.fullmatch(r"(train|val)2014/COCO_(train|val)2014_\d{12}\.(jpg|png)", entry["image"])
            assert (tmp_path / "raw" / "mscoco_img" / entry["image"]).is_file()
            number = int(Path(entry["image"]).stem.split("_")[-1])
            assert images.setdefault(number, entry["image"]) == entry["image"]
            for caption in entry["captions"]:
                assert re.fullmatch(rf"[^-]+-[^_]+_{number}_\d+", caption["uttid"])
                assert (tmp_path / "raw" / caption["wav"]).is_file()
                sentences.add(caption["uttid"].split("_")[-1])
    assert len(sentences) == 6
    assert len(images) == 3


@pytest.mark.parametrize("form", ["plain", "aligned"])
@pytest.mark.parametrize("inside", [True, False])
def test_spokencoco_comes_back_as_it_was(tmp_path: Path, form: str, inside: bool) -> None:
    folder = tmp_path / "SpokenCOCO"
    told = raw_spokencoco.write(folder, {"train": 3, "val": 2} if form == "plain" else KARPATHY, form)
    meant = make(folder, tmp_path / "c", inside=inside)
    write_raw(meant, tmp_path / "again")
    made = make(tmp_path / "again", tmp_path / "d")
    assert made.column("id") == meant.column("id")
    assert made.column("sentence_id") == meant.column("sentence_id")
    if form == "plain":
        for split, shown in told.items():
            data = json.loads((tmp_path / "again" / f"SpokenCOCO_{split}.json").read_text())["data"]
            wavs = [[c.pop("wav") for c in v["captions"]] for v in data]
            for value in shown:
                for caption in value["captions"]:
                    del caption["wav"]
            assert data == shown
            assert all(Path(w).stem == c["uttid"] for v, ws in zip(data, wavs) for c, w in zip(v["captions"], ws))
    for name in SAME:
        assert made.column(name) == meant.column(name), name
    for n in map(int, made.pictures):
        path = folder / "mscoco_img" / made.column("group")[n]
        assert made.media("image", n) == path.read_bytes()
    for n, wav in enumerate(made.column("sentence_id")):
        assert made.media("audio", n) == sound(wav)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"split": "train_karpathy"}, "split 'train_karpathy'"),
        ({"words": [{"word": "a__b", "start": 0.0, "end": 0.1}]}, "'a__b' cannot stand"),
    ],
    ids=["split", "word"],
)
def test_what_it_cannot_say_is_refused_and_nothing_is_left(tmp_path: Path, change: Any, said: str) -> None:
    (tmp_path / "out").mkdir()
    with pytest.raises(UserError, match=said):
        write_raw(any_corpus(tmp_path, **change), tmp_path / "out" / "raw")
    assert list((tmp_path / "out").iterdir()) == []


value = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8)),
    lambda some: st.one_of(st.lists(some, max_size=3), st.dictionaries(st.text(max_size=4), some, max_size=3)),
    max_leaves=4,
)
caption = st.one_of(
    value,
    st.dictionaries(st.sampled_from(["uttid", "speaker", "text", "wav", "text_alignment", "lookhear"]), value),
)
entry = st.one_of(
    value,
    st.fixed_dictionaries({}, optional={"image": value, "captions": st.lists(caption, max_size=3), "caption": caption}),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(entry, max_size=4))
def test_every_caption_is_an_item_or_a_problem(tmp_path_factory: pytest.TempPathFactory, harms: list[Any]) -> None:
    folder = tmp_path_factory.mktemp("harmed")
    ((good,),) = raw_spokencoco.write(folder, {"val": 1}).values()
    harmed = []
    for n, harm in enumerate(harms):
        if isinstance(harm, dict):
            harm = {"image": good["image"], **harm}
            given_ = [harm["caption"]] if "caption" in harm else harm.get("captions")
            for k, c in enumerate(given_ if isinstance(given_, list) else ()):
                if isinstance(c, dict):
                    c |= {key: v for key, v in {**good["captions"][0], "uttid": f"u-{n}_1_{k}"}.items() if key not in c}
        harmed.append(harm)
    path = folder / "SpokenCOCO_val.json"
    path.write_text(json.dumps({"data": [good, *harmed]}))
    noted = Problems()
    found = items(folder, noted)
    due = 3
    for harm in harmed:
        due += 1 if not isinstance(harm, dict) or "caption" in harm else max(1, len(harm.get("captions", [])))
    assert len(found) + noted.refused == due
    assert [i.id for i in found[:3]] == [c["uttid"] for c in good["captions"]]
