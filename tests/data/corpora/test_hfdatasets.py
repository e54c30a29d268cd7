"""Hugging Face data sets on disk: the layout of ``save_to_disk`` written here with pyarrow, as ``datasets`` does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from raw_speechcoco import picture, sound

from lookhear.data.corpora.hfdatasets import open_raw, recognises
from lookhear.data.items import Item, Problems
from lookhear.data.prepare import PROBLEMS, prepare
from lookhear.data.schema import Corpus
from lookhear.errors import UserError

MEDIA = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
FEATURES: dict[str, Any] = {
    "speech": {"sampling_rate": 16000, "_type": "Audio"},
    "image": {"_type": "Image"},
    "caption": {"dtype": "string", "_type": "Value"},
    "label": {"names": ["cat", "dog"], "_type": "ClassLabel"},
    "votes": {"dtype": "int32", "_type": "Value"},
    "tags": {"feature": {"names": ["red", "blue"], "_type": "ClassLabel"}, "_type": "Sequence"},
    "words": {
        "feature": {
            "word": {"dtype": "string", "_type": "Value"},
            "start": {"dtype": "float32", "_type": "Value"},
            "end": {"dtype": "float32", "_type": "Value"},
        },
        "_type": "Sequence",
    },
}
SCHEMA = pa.schema(
    [
        ("speech", MEDIA),
        ("image", MEDIA),
        ("caption", pa.string()),
        ("label", pa.int64()),
        ("votes", pa.int32()),
        ("tags", pa.list_(pa.int64())),
        (
            "words",
            pa.struct(
                [("word", pa.list_(pa.string())), ("start", pa.list_(pa.float32())), ("end", pa.list_(pa.float32()))]
            ),
        ),
    ]
)


def row(k: int) -> dict[str, Any]:
    """Pictures of one name and different bytes, two rows each."""
    return {
        "speech": {"bytes": sound(k), "path": f"{k}.wav"},
        "image": {"bytes": picture(k // 2), "path": "image.jpg"},
        "caption": f"a dog {k}",
        "label": k % 3 - 1,
        "votes": k,
        "tags": [k % 2, 1],
        "words": {"word": ["a", "dog"], "start": [0.0, 0.125], "end": [0.125, 0.1875]},
    }


def dataset(
    folder: Path,
    rows: list[dict[str, Any]],
    split: str | None = None,
    files: int = 2,
    features: dict[str, Any] | None = FEATURES,
    schema: pa.Schema = SCHEMA,
) -> Path:
    """What ``Dataset.save_to_disk`` writes: record batches in streams, and two JSON files."""
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"data-{k:05d}-of-{files:05d}.arrow" for k in range(files)]
    told = schema.with_metadata({"huggingface": json.dumps({"info": {"features": features}})}) if features else schema
    for k, name in enumerate(names):
        part = rows[k * len(rows) // files : (k + 1) * len(rows) // files]
        with pa.OSFile(str(folder / name), "wb") as sink, pa.ipc.new_stream(sink, told) as writer:
            for start in range(0, len(part), 3):
                writer.write_batch(pa.RecordBatch.from_pylist(part[start : start + 3], schema=told))
    info = {"citation": "", "description": "", "features": features, "homepage": "", "license": ""}
    (folder / "dataset_info.json").write_text(json.dumps(info, indent=2))
    state = {
        "_data_files": [{"filename": name} for name in names],
        "_fingerprint": "b8675e6c0eabe906",
        "_format_columns": None,
        "_format_kwargs": {},
        "_format_type": None,
        "_output_all_columns": False,
        "_split": split,
    }
    (folder / "state.json").write_text(json.dumps(state, indent=2))
    return folder


def dataset_dict(folder: Path, **splits: list[dict[str, Any]]) -> Path:
    for split, rows in splits.items():
        dataset(folder / split, rows, split)
    (folder / "dataset_dict.json").write_text(json.dumps({"splits": list(splits)}))
    return folder


def make(raw: Path, out: Path, **how: Any) -> Corpus:
    return prepare(raw, out, layout="hfdatasets", **{"workers": 0, "progress": False, **how})


def problems(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / PROBLEMS).read_text().splitlines()]


def read(raw: Path, **options: str) -> tuple[list[Item], Problems]:
    noted = Problems()
    return list(open_raw(raw, options).items(noted)), noted


def test_it_holds_what_the_data_set_holds(tmp_path: Path) -> None:
    raw = dataset(tmp_path / "raw", [row(k) for k in range(8)], "validation")
    assert recognises(raw)
    made = make(raw, tmp_path / "c")
    assert made.column("id") == [str(k) for k in range(8)]
    assert made.column("split") == ["val"] * 8
    assert made.column("text") == [f"a dog {k}" for k in range(8)]
    assert made.column("label") == [None, "cat", "dog"] * 2 + [None, "cat"]
    assert made.column("votes") == list(range(8))
    assert made.column("tags") == ['["red", "blue"]', '["blue", "blue"]'] * 4
    assert made.column("words")[5] == [
        {"word": "a", "start": 0.0, "end": 0.125},
        {"word": "dog", "start": 0.125, "end": 0.1875},
    ]
    groups = made.column("group")
    assert groups[::2] == groups[1::2]
    assert len(set(groups)) == 4
    assert len(made.pictures) == 4
    for k in range(8):
        assert made.media("audio", k) == sound(k)
    for k in made.pictures:
        assert made.media("image", int(k)) == picture(int(k) // 2)
    assert problems(tmp_path / "c") == []


def test_splits_of_a_dict_and_ids_that_start_anew(tmp_path: Path) -> None:
    raw = dataset_dict(tmp_path / "raw", train=[row(k) for k in range(3)], dev=[row(9)])
    assert recognises(raw)
    items, _ = read(raw)
    assert [(i.id, i.split) for i in items] == [
        ("train_0", "train"),
        ("train_1", "train"),
        ("train_2", "train"),
        ("dev_0", "val"),
    ]


@pytest.mark.parametrize("told", [FEATURES, None], ids=["in the schema", "nowhere"])
def test_features_that_the_json_file_does_not_tell(tmp_path: Path, told: Any) -> None:
    raw = dataset(tmp_path / "raw", [row(1)], features=told)
    (raw / "dataset_info.json").write_text("{}")
    options = {} if told else {"audio": "speech"}
    (item,), _ = read(raw, **options)
    assert item.audio is not None
    assert item.audio.data == sound(1)
    assert item.extra["label"] == ("cat" if told else 0)


def test_columns_by_usual_names_or_as_they_are_called(tmp_path: Path) -> None:
    schema = pa.schema(
        [
            ("audio", MEDIA),
            ("id", pa.string()),
            ("transcription", pa.list_(pa.string())),
            ("client_id", pa.int64()),
            ("mood", pa.string()),
            ("masks", pa.binary()),
        ]
    )
    rows = [
        {"audio": {"bytes": sound(k), "path": None}, "id": f"u{k}", "client_id": k, "mood": "m", "masks": b"x"}
        | {"transcription": ["one", "two"]}
        for k in range(2)
    ]
    raw = dataset(tmp_path / "raw", rows, files=1, features=None, schema=schema)
    items, noted = read(raw, language="mood")
    assert [(i.id, i.text, i.speaker, i.language) for i in items] == [
        ("u0_0", "one", "0", "m"),
        ("u0_1", "two", "0", "m"),
        ("u1_0", "one", "1", "m"),
        ("u1_1", "two", "1", "m"),
    ]
    assert [i.audio is not None for i in items] == [True, False] * 2
    assert (noted.repaired, noted.refused) == (1, 0)  # the column that is not read
    assert [i.id for i in read(raw, ids="row")[0]] == ["0_0", "0_1", "1_0", "1_1"]
    for options, said in (
        ({"text": "transcripton"}, "did you mean 'transcription'"),
        ({"texts": "mood"}, "no column 'texts' to be named"),
        ({"ids": "x"}, "Choose row"),
    ):
        with pytest.raises(UserError, match=said):
            open_raw(raw, options)


def test_without_bytes_files_are_found_inside_and_nowhere_else(tmp_path: Path) -> None:
    rows = [row(k) for k in range(4)]
    for k, path in enumerate(("1.wav", "/etc/passwd", "../1.wav", "a\0b")):
        rows[k]["speech"] = {"bytes": None, "path": path}
    raw = dataset(tmp_path / "raw", rows)
    (raw / "1.wav").write_bytes(sound(1))
    made = make(raw, tmp_path / "c")
    assert made.column("id") == ["0"]
    assert [p["id"] for p in problems(tmp_path / "c")] == ["row 1", "row 2", "row 3"]
    assert all("speech" in p["what"] or "audio" in p["what"] for p in problems(tmp_path / "c"))


def harm(raw: Path, file: str, change: Any) -> None:
    value = json.loads((raw / file).read_text())
    change(value)
    (raw / file).write_text(json.dumps(value))


WHOLE = {
    "no state": (lambda raw: (raw / "state.json").unlink(), "state.json is missing"),
    "cut state": (lambda raw: (raw / "state.json").write_text("{"), "state.json: not readable JSON"),
    "no object": (lambda raw: (raw / "state.json").write_text("[]"), "not a JSON object"),
    "no files": (lambda raw: harm(raw, "state.json", lambda s: s.update(_data_files=[])), "names no data files"),
    "climbs": (
        lambda raw: harm(raw, "state.json", lambda s: s.update(_data_files=[{"filename": "../raw2/x.arrow"}])),
        "climbs out",
    ),
    "indices": (
        lambda raw: harm(raw, "state.json", lambda s: s.update(_indices_data_files=[{"filename": "i.arrow"}])),
        "flatten_indices",
    ),
    "not Arrow": (lambda raw: [p.write_bytes(b"ARROW1" * 9) for p in raw.glob("*.arrow")], "not an Arrow stream"),
    "a name that is no text": (
        lambda raw: [p.write_bytes(p.read_bytes().replace(b"caption", b"capt\xffon")) for p in raw.glob("*.arrow")],
        "not an Arrow stream",
    ),
    "empty": (lambda raw: [p.write_bytes(b"") for p in raw.glob("*.arrow")], "not an Arrow stream"),
}


@pytest.mark.parametrize("case", WHOLE)
def test_what_is_wrong_as_a_whole_is_an_error(tmp_path: Path, case: str) -> None:
    spoil, said = WHOLE[case]
    raw = dataset(tmp_path / "raw", [row(k) for k in range(4)])
    spoil(raw)
    with pytest.raises(UserError, match=said):
        open_raw(raw, {})


def test_a_dict_with_a_split_that_is_not_there(tmp_path: Path) -> None:
    raw = dataset_dict(tmp_path / "raw", train=[row(0)])
    for splits in (["train", "test"], ["../raw/train"], [], [3], "train"):
        (raw / "dataset_dict.json").write_text(json.dumps({"splits": splits}))
        with pytest.raises(UserError, match=r"dataset_dict\.json"):
            open_raw(raw, {})


def test_a_file_cut_off_between_two_batches_is_told_of(tmp_path: Path) -> None:
    raw = dataset(tmp_path / "raw", [row(k) for k in range(12)])
    path = raw / "data-00000-of-00002.arrow"
    path.write_bytes(path.read_bytes()[:-8])
    items, noted = read(raw)
    assert (len(items), noted.refused) == (12, 1)
    path.write_bytes(path.read_bytes()[:-200])
    items, noted = read(raw)
    assert ([i.id for i in items], noted.refused) == (["0", "1", "2", *(str(k) for k in range(3, 9))], 1)
    path.unlink()
    items, noted = read(raw)
    assert (len(items), noted.refused) == (6, 1)
    assert items[0].text == "a dog 6"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"label": 2}, "class 2 of 2"),
        ({"label": -2}, "class -2 of 2"),
        ({"words": {"word": ["a"], "start": [0.1], "end": []}}, "different lengths"),
    ],
    ids=["class", "class below", "words"],
)
def test_a_row_that_is_wrong_is_refused_and_told_of(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    rows = [row(k) for k in range(4)]
    rows[2] |= change
    raw = dataset(tmp_path / "raw", rows)
    made = make(raw, tmp_path / "c")
    assert made.column("id") == ["0", "1", "3"]
    (problem,) = problems(tmp_path / "c")
    assert said in problem["what"]
    assert problem["file"] == str(raw / "data-00001-of-00002.arrow")
    assert problem["id"] == "row 2"


def test_files_of_other_features_are_refused_row_by_row(tmp_path: Path) -> None:
    raw = dataset(tmp_path / "raw", [row(k) for k in range(4)])
    other = pa.schema([pa.field("votes", pa.string()) if f.name == "votes" else f for f in SCHEMA])
    dataset(tmp_path / "b", [row(k) | {"votes": "many"} for k in range(2)], files=1, schema=other)
    (tmp_path / "b" / "data-00000-of-00001.arrow").replace(raw / "data-00001-of-00002.arrow")
    items, noted = read(raw)
    assert (len(items), noted.refused) == (2, 2)


@settings(max_examples=100, deadline=None)
@given(st.floats(0, 1), st.binary(min_size=1, max_size=40), st.booleans())
def test_a_broken_file_never_ends_in_a_traceback(
    tmp_path_factory: pytest.TempPathFactory, place: float, junk: bytes, cut: bool
) -> None:
    raw = dataset(tmp_path_factory.mktemp("hf") / "raw", [row(k) for k in range(6)], files=1)
    path = raw / "data-00000-of-00001.arrow"
    data = path.read_bytes()
    at = int(place * (len(data) - 1))
    spoiled = data[:at] if cut else (data[:at] + junk + data[at + len(junk) :])[: len(data)]
    path.write_bytes(spoiled)
    try:
        items, noted = read(raw)
    except UserError as e:
        fault = e.what
    else:
        fault = "" if len(items) == 6 or noted.refused else "nothing told"
    assert fault == "" or str(raw) in fault


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(["state.json", "dataset_info.json"]), st.one_of(st.binary(max_size=60), st.just(b"")), st.data())
def test_broken_json_files_never_end_in_a_traceback(
    tmp_path_factory: pytest.TempPathFactory, file: str, junk: bytes, data: Any
) -> None:
    raw = dataset(tmp_path_factory.mktemp("hf") / "raw", [row(k) for k in range(2)], files=1)
    values = st.recursive(
        st.none() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["_type", "names", "feature"]), inner)
        ),
        max_leaves=8,
    )
    if junk:
        (raw / file).write_bytes(junk)
    else:
        told = json.loads((raw / file).read_text())
        key = data.draw(st.sampled_from(sorted(told)))
        features = isinstance(told[key], dict) and told[key] and data.draw(st.booleans())
        if features:
            told[key][data.draw(st.sampled_from(sorted(told[key])))] = data.draw(values)
        else:
            told[key] = data.draw(values)
        (raw / file).write_text(json.dumps(told))
    try:
        items, noted = read(raw)
    except UserError as e:
        fault = e.what
    else:
        fault = "" if len(items) + noted.refused >= 2 else "nothing told"
    assert fault == "" or str(raw) in fault
