"""The picture book out in every layout that is written, and in again: what the layout holds comes back the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lookhear.audio import load_audio
from lookhear.data.corpora import WRITTEN, layout_of, write_layout
from lookhear.data.images import load_image
from lookhear.data.picturebook.build import prepare_picturebook
from lookhear.data.prepare import prepare
from lookhear.data.schema import Corpus

RECORDINGS = ("places", "spokencoco", "speechcoco")


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    scenes = {"teacher": 3, "train": 4, "val": 2, "test": 2, "open": 2}
    folder = tmp_path_factory.mktemp("trips") / "book"
    return prepare_picturebook(folder, seed=3, scenes=scenes, size=64, workers=0, progress=False)


def pictures_of(corpus: Corpus) -> dict[str, bytes]:
    """Group → pixels of its picture."""
    groups = corpus.column("group")
    return {groups[row]: load_image(corpus.media("image", row), "picture").tobytes() for row in corpus.pictures}


@pytest.mark.parametrize("layout", WRITTEN)
def test_the_picture_book_out_and_in(book: Corpus, tmp_path: Path, layout: str) -> None:
    left_out = write_layout(layout, book, tmp_path / "raw")
    assert layout_of(tmp_path / "raw") == layout
    again = prepare(tmp_path / "raw", tmp_path / "again", workers=0, progress=False)
    assert not (tmp_path / "again" / "problems.jsonl").read_text()
    heard = book.recordings.tolist()
    silent = len(book) - len(heard)
    assert silent > 0
    if layout in RECORDINGS:
        assert left_out.startswith(f"left out: {silent} rows without a recording")
        assert len(again) == len(again.recordings) == len(heard)
    else:
        assert left_out.startswith("left out: the columns things")
        assert len(again) == len(book)
    place = {key: row for row, key in enumerate(again.column("id"))}
    columns = ("group", "split", "text", "speaker", "language", "words")
    old, new = ({name: c.column(name) for name in columns} for c in (book, again))
    for row in heard:
        back = place[book.column("id")[row]]
        for name in ("group", "split", "text", "speaker", "language"):
            assert new[name][back] == old[name][row], name
        words = zip(new["words"][back], old["words"][row], strict=True)
        for found, meant in words:
            assert found["word"] == meant["word"]
            assert (found["start"], found["end"]) == pytest.approx((meant["start"], meant["end"]), abs=1e-3)
        waves = (load_audio(c.media("audio", r), "recording") for c, r in ((again, back), (book, row)))
        np.testing.assert_allclose(*waves, atol=2**-15)
    meant_pictures, found_pictures = pictures_of(book), pictures_of(again)
    spoken = {old["group"][row] for row in heard}
    assert spoken < set(meant_pictures)  # the teacher's pictures are never spoken of
    assert set(found_pictures) == (spoken if layout in RECORDINGS else set(meant_pictures))
    assert all(found_pictures[group] == meant_pictures[group] for group in found_pictures)


@pytest.mark.parametrize("layout", RECORDINGS)
def test_a_picture_in_a_row_of_its_own_belongs_to_its_groups_recordings(
    book: Corpus, tmp_path: Path, layout: str
) -> None:
    part = book.select("test")
    left_out = write_layout(layout, part, tmp_path / "raw")
    assert left_out.splitlines() == [
        "left out: 2 rows without a recording (but 2 of them give pictures to the recordings of their groups), "
        "for this layout is a list of recordings",
        "left out: the columns things, masks, place, voice_seen, which this layout has no place for",
    ]
