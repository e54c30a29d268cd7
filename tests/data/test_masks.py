"""Label maps become masks by name and come back as arrays; what is no label map is refused, with its file named."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from lookhear.data.masks import Masks, label_names, read_label_map, thing_masks
from lookhear.data.read import Source, read_source
from lookhear.data.schema import SCHEMA, Corpus
from lookhear.errors import UserError

LABELS = np.array([[1, 1, 0, 18], [1, 0, 0, 18], [0, 0, 0, 62]], dtype=np.uint8)
NAMES = {1: "person", 18: "dog", 62: "chair"}


def png(values: np.ndarray) -> bytes:
    out = io.BytesIO()
    Image.fromarray(values).save(out, "PNG")
    return out.getvalue()


def corpus_of(*masks: tuple[str, bytes]) -> Corpus:
    row = {"id": "p7", "masks": [{"thing": t, "png": p} for t, p in masks]}
    return Corpus(pa.Table.from_pylist([row], schema=SCHEMA), Path("nowhere"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A data set as COCO's may lie: three pictures, two of them with label maps, two captions each."""
    at = tmp_path / "set"
    for name in ("images", "masks"):
        (at / name).mkdir(parents=True)
    for name in ("a", "b", "c"):
        Image.new("RGB", (4, 3)).save(at / "images" / f"{name}.jpg")
    (at / "masks" / "a.png").write_bytes(png(LABELS))
    indexed = Image.fromarray(LABELS[::-1].copy(), "P")
    indexed.putpalette(list(range(256)) * 3)
    indexed.save(at / "masks" / "b.png")
    (at / "categories.json").write_text(json.dumps({str(k): v for k, v in NAMES.items()}))
    rows = [
        {"id": n, "file": f"images/{n}.jpg", "captions": ["one", "two"], "mask": f"masks/{n}.png" if n != "c" else None}
        for n in "abc"
    ]
    (at / "manifest.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    return at


def read(folder: Path, **masks: Any) -> Corpus:
    columns = {"image": "file", "text": "captions"}
    return read_source(Source(name=folder.name, columns=columns, masks=Masks(**masks)), folder.parent)


def test_a_label_map_is_a_mask_for_each_name(folder: Path) -> None:
    corpus = read(folder)
    assert [[m["thing"] for m in held or ()] for held in corpus.column("masks")] == [
        ["person", "dog", "chair"],
        ["person", "dog", "chair"],
        ["person", "dog", "chair"],
        ["person", "dog", "chair"],
        [],
        [],
    ]
    for row, values in ((0, LABELS), (1, LABELS), (2, LABELS[::-1]), (3, LABELS[::-1])):
        found = thing_masks(corpus, row)
        assert {k: v.tolist() for k, v in found.items()} == {n: (values == k).tolist() for k, n in NAMES.items()}
    assert thing_masks(corpus, 4) == {}


def test_masks_of_one_name_are_one_whatever_their_letters_and_depth() -> None:
    left = np.array([[255, 0, 0], [0, 0, 0]], dtype=np.uint8)
    right = np.array([[False, False, True], [False, True, False]])
    found = thing_masks(corpus_of(("Dog", png(left)), ("dog", png(right))), 0)
    assert list(found) == ["dog"]
    assert found["dog"].tolist() == [[True, False, True], [False, True, False]]


def test_the_picture_book_s_masks_are_read(tiny_book: Path) -> None:
    from lookhear.data.read import open_corpus

    corpus = open_corpus(tiny_book).select("test")
    things = corpus.column("things")
    for row in corpus.pictures:
        found = thing_masks(corpus, row)
        assert set(found) == set(things[row])
        assert all(m.shape == (32, 32) for m in found.values())
        assert np.sum(list(found.values()), axis=0).max() == 1  # what is hidden belongs to what hides it


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"no picture", "not a PNG"),
        (png(np.random.default_rng(0).integers(0, 3, (64, 64), dtype=np.uint8))[:500], "damaged"),
        (png(np.zeros((3, 4, 3), np.uint8)), "not one number a pixel"),
        (png(np.full((3, 4), 7, np.uint8)), "label 7 has no name"),
    ],
    ids=["text", "cut", "colours", "unknown"],
)
def test_what_is_no_label_map_is_named(folder: Path, data: bytes, said: str) -> None:
    (folder / "masks" / "b.png").write_bytes(data)
    with pytest.raises(UserError, match=said) as e:
        read(folder)
    assert "masks/b.png" in e.value.what
    assert e.value.fix


def test_a_jpeg_is_no_mask(tmp_path: Path) -> None:
    """Its pixels are not what was saved."""
    Image.fromarray(LABELS).save(tmp_path / "m.png", "JPEG")
    with pytest.raises(UserError, match=r"m\.png: not a PNG"):
        read_label_map(tmp_path / "m.png", NAMES)


def test_files_and_columns_that_are_not_there_are_named(folder: Path) -> None:
    with pytest.raises(UserError, match="no column 'masc'") as e:
        read(folder, column="masc")
    assert "mask" in e.value.fix
    with pytest.raises(UserError, match=r"names\.json: no such file"):
        read(folder, names="names.json")
    (folder / "masks" / "a.png").unlink()
    with pytest.raises(UserError, match=r"masks/a\.png: no such file"):
        read(folder)


@pytest.mark.parametrize("text", ["[1, 2]", "{", '{"one": "person"}', "\xff"])
def test_names_that_are_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "categories.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(UserError, match=r"categories\.json: no names of labels"):
        label_names(tmp_path, Masks())


def test_masks_of_a_corpus_that_are_none_are_named() -> None:
    with pytest.raises(UserError, match="picture p7: its mask of 'dog': not a PNG"):
        thing_masks(corpus_of(("dog", b"")), 0)
    other = png(np.zeros((2, 2), np.uint8))
    with pytest.raises(UserError, match="picture p7: masks of different sizes"):
        thing_masks(corpus_of(("dog", png(LABELS)), ("cat", other)), 0)


@pytest.mark.shared
def test_coco_as_it_lies() -> None:
    root = Path(os.environ.get("LOOKHEAR_DATA") or Path(__file__).parents[3] / "shared" / "data")
    if not (root / "images-coco").is_dir():
        pytest.skip("no data set images-coco (LOOKHEAR_DATA, or ../shared/data)")
    columns = {"image": "file", "text": "captions"}
    source = Source(name="images-coco", columns=columns, masks=Masks(), splits=("test",))
    corpus = read_source(source, root)
    told = {r["id"]: r for r in map(json.loads, (root / "images-coco" / "manifest.jsonl").open(encoding="utf-8"))}
    with_masks = 0
    for row in corpus.pictures:
        listed = told[corpus.table["group"][int(row)].as_py()]
        found = thing_masks(corpus, row)
        assert bool(found) <= (listed["mask"] is not None)
        with_masks += bool(found)
        boxes = {o["category"]: o["box"] for o in listed["objects"] or ()}
        assert set(found) <= set(boxes)  # a thing quite hidden by smaller ones has no pixel
        for name, mask in found.items():
            assert mask.shape == (listed["height"], listed["width"])
            if sum(o["category"] == name for o in listed["objects"]) == 1:
                x0, y0, x1, y1 = boxes[name]
                y, x = np.nonzero(mask)
                assert x0 - 2 <= x.min() <= x.max() <= x1 + 2
                assert y0 - 2 <= y.min() <= y.max() <= y1 + 2
    assert with_masks > 30
