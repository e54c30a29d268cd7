"""Vectors and metadata as clip-retrieval reads them: files by name, rows one after the other, in one order."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lookhear.errors import UserError
from lookhear.exports import clip_retrieval
from lookhear.exports.clip_retrieval import Rows, rows_of_files, rows_of_index, write_clip_retrieval
from lookhear.models.model import Model
from lookhear.search.details import Details
from lookhear.search.index import Where, open_index
from lookhear.search.update import index_files


def read(folder: Path, embeddings: str) -> tuple[np.ndarray, pa.Table]:
    """As embedding-reader and clip-retrieval's back end do: all files in the order of their names."""
    vectors = np.concatenate([np.load(f) for f in sorted((folder / embeddings).glob("*.npy"))])
    tables = [pq.read_table(f) for f in sorted((folder / "metadata").glob("*.parquet"))]
    return vectors, pa.concat_tables(tables)


@pytest.fixture(scope="module")
def archive(tiny_run: Path, tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Recordings, pictures and a text, about some of which something is known."""
    root = tmp_path_factory.mktemp("archive")
    (root / "notes.txt").write_text("a red boat\nthe dog in the snow\n")
    known = Details({str(tiny_folder.absolute()): {"speaker": "Aliye", "start": "of a name that is taken"}})
    index_files(tiny_run, [tiny_folder, root / "notes.txt"], root / "index", details=known)
    return root / "index"


def test_an_index_and_back(archive: Path, tiny_model: Model, tmp_path: Path) -> None:
    index = open_index(archive)
    made = write_clip_retrieval(rows_of_index(index), tmp_path / "out", ["speaker", "start"])
    counts = index.counts()
    assert made == {"recordings": counts["recordings"], "pictures": counts["pictures"], "texts": 2}
    query = tiny_model.embed_texts(["a red boat"]).pooled.numpy()
    kinds = [("recordings", "audio"), ("pictures", "image"), ("texts", "text")]
    names = {"recordings": "audio_emb", "pictures": "img_emb", "texts": "text_emb"}
    paths = {"recordings": "audio_path", "pictures": "image_path", "texts": "text_path"}
    for kind, modality in kinds:
        vectors, table = read(tmp_path / "out" / kind, names[kind])
        assert vectors.dtype == np.float16
        assert len(vectors) == table.num_rows == made[kind]
        np.testing.assert_allclose(np.linalg.norm(vectors.astype(np.float32), axis=1), 1, atol=2e-3)
        hits = index.search(query, len(vectors), Where(modality=modality))[0]
        scores = {(h.file, round(h.start, 3), index.texts([h])[0]): h.score for h in hits}
        captions = table["caption"].to_pylist() if kind == "texts" else [""] * table.num_rows
        starts = table["start"].to_pylist() if kind == "recordings" else [0.0] * table.num_rows
        for n, file in enumerate(table[paths[kind]].to_pylist()):
            found = float(vectors[n].astype(np.float32) @ query[0])
            assert found == pytest.approx(scores[file, round(starts[n], 3), captions[n]], abs=4e-3)
    recordings = read(tmp_path / "out" / "recordings", "audio_emb")[1]
    assert recordings.column_names == ["audio_path", "start", "end", "speaker", "start_2"]
    assert set(recordings["speaker"].to_pylist()) == {"Aliye"}
    assert read(tmp_path / "out" / "texts", "text_emb")[1]["speaker"].to_pylist() == [None, None]


def test_files_that_are_in_no_index_give_the_same(
    archive: Path, tiny_run: Path, tiny_folder: Path, tmp_path: Path
) -> None:
    write_clip_retrieval(rows_of_index(open_index(archive)), tmp_path / "a")
    write_clip_retrieval(rows_of_files(Model.load(tiny_run), [tiny_folder]), tmp_path / "b")
    assert {p.name for p in (tmp_path / "b").iterdir()} == {"recordings", "pictures"}
    for kind, name, path in (("recordings", "audio_emb", "audio_path"), ("pictures", "img_emb", "image_path")):
        (one, first), (other, second) = (read(tmp_path / x / kind, name) for x in "ab")
        order = {file: n for n, file in enumerate(first[path].to_pylist())}
        places = [order[file] for file in second[path].to_pylist()]
        assert sorted(places) == list(range(len(one)))
        np.testing.assert_allclose(other.astype(np.float32), one[places].astype(np.float32), atol=2e-3)


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    parts=st.lists(st.tuples(st.sampled_from(["recordings", "pictures"]), st.integers(0, 9)), min_size=1, max_size=12)
)
def test_rows_stay_in_order_over_files(
    parts: list[tuple[Any, int]], tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clip_retrieval, "PART", 3)
    rows, wanted, number = [], {"recordings": [], "pictures": []}, 0
    for kind, n in parts:
        ids = list(range(number, number + n))
        number += n
        wanted[kind] += ids
        vectors = np.array(ids, dtype=np.float32)[:, None].repeat(2, 1)
        rows.append(Rows(kind, [str(i) for i in ids], vectors, [float(i) for i in ids], [i + 1.0 for i in ids]))
    out = tmp_path_factory.mktemp("rows") / "out"
    if not number:
        with pytest.raises(UserError, match="no vectors to write"):
            write_clip_retrieval(rows, out)
        assert not out.exists()
        return
    made = write_clip_retrieval(rows, out)
    for kind, name, path in (("recordings", "audio_emb", "audio_path"), ("pictures", "img_emb", "image_path")):
        assert made.get(kind, 0) == len(wanted[kind])
        if wanted[kind]:
            vectors, table = read(out / kind, name)
            assert vectors[:, 0].tolist() == wanted[kind]
            assert table[path].to_pylist() == [str(i) for i in wanted[kind]]
            assert all(len(np.load(f)) <= 3 for f in (out / kind / name).iterdir())


def test_nothing_half_written_stays(tmp_path: Path) -> None:
    def broken() -> Any:
        yield Rows("pictures", ["a.png"], np.ones((1, 4), np.float32))
        raise UserError("b.png: damaged", "Copy it again.")

    with pytest.raises(UserError, match=r"b\.png"):
        write_clip_retrieval(broken(), tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_as_a_person_types_it(lookhear: Any, archive: Path, tiny_run: Path, tiny_folder: Path, tmp_path: Path) -> None:
    answer = lookhear("export", archive, "--clip-retrieval", tmp_path / "a")
    assert (answer.code, answer.out) == (0, f"{tmp_path / 'a'}\n"), answer
    assert "2 rows of texts" in answer.err
    assert read(tmp_path / "a" / "pictures", "img_emb")[1].column_names == ["image_path", "speaker", "start"]
    files = tmp_path / "files"
    files.mkdir()
    sound = next(tiny_folder.glob("*.flac"))
    (files / "good.flac").write_bytes(sound.read_bytes())
    (files / "bad.wav").write_bytes(b"RIFF")
    answer = lookhear("export", files, "--clip-retrieval", tmp_path / "b", "--run", tiny_run)
    assert answer.code == 2
    assert "bad.wav: not a readable recording" in answer.err
    assert read(tmp_path / "b" / "recordings", "audio_emb")[1].num_rows == 1
    assert "is not empty" in lookhear("export", archive, "--clip-retrieval", tmp_path / "a").complaint
    assert "no index" in lookhear("export", files, "--clip-retrieval", tmp_path / "c").complaint
