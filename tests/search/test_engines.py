"""All engines give the answers that a slow dictionary gives: the archive fresh and put away, and Qdrant."""

import itertools
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from made_up import ABOUT, DIM, Slow, entry, library, unit

from lookhear.errors import UserError
from lookhear.search.archive import codec, nearest, tidy
from lookhear.search.index import Where, create_index, open_index

numbers = itertools.count()


@dataclass(frozen=True)
class Engine:
    """How an index is made, and how exact it is.

    ``score`` is the most that a score is off; ``frame`` the most that the product of a frame with a unit query is off,
    in lengths of the frame, as root mean square.
    """

    name: str
    score: float
    frame: float

    def address(self, folder):
        return f"qdrant://:memory:/i{next(numbers)}" if self.name == "qdrant" else folder / f"i{next(numbers)}"


ENGINES = [Engine("archive", 1e-3, 1e-3), Engine("sealed", 0.02, 0.1), Engine("qdrant", 1e-6, 1e-3)]


@pytest.fixture(scope="module", params=ENGINES, ids=lambda e: e.name)
def engine(request):
    if request.param.name == "qdrant":
        pytest.importorskip("qdrant_client")
    with pytest.MonkeyPatch.context() as patch:
        if request.param.name == "sealed":  # put away nearly at once, and anew at every turn
            patch.setattr(nearest, "SEALED", 8)
            patch.setattr(tidy, "MOST_FRESH", 20)
            patch.setattr(tidy, "FITTED", 2500)
            patch.setattr(codec, "STAGES", 6)  # of so few dimensions; quicker to learn
            patch.setattr(nearest, "EXACT", 30)
        yield request.param


@pytest.fixture(scope="module")
def filled(engine, tmp_path_factory):
    """An index of the library, and the dictionary of it."""
    index, slow = create_index(engine.address(tmp_path_factory.mktemp("engine")), ABOUT), Slow()
    with index.writing() as writer:
        for n, e in enumerate(library()):
            writer.put(e)
            slow.put(e)
            if n % 16 == 15:
                writer.commit()
    yield index, slow
    index.close()


@pytest.fixture
def empty(engine, tmp_path):
    index = create_index(engine.address(tmp_path), ABOUT)
    yield index
    index.close()


def same_hits(hits, scores, k, off):
    """Hits are the best of what was scored, in order, to within what the engine is off."""
    assert len(hits) == min(k, len(scores))
    assert len({h.row for h in hits}) == len(hits)
    for hit in hits:
        assert hit.score == pytest.approx(scores[hit.row], abs=off)
    got = [h.score for h in hits]
    assert got == sorted(got, reverse=True)
    np.testing.assert_allclose(got, sorted(scores.values(), reverse=True)[:k], atol=off)


def same(index, slow, off):
    """The whole index is what the dictionary says."""
    assert index.sources() == slow.sources()
    query = unit(2, seed=9)
    for q, hits in zip(query, index.search(query, 1000)):
        same_hits(hits, slow.scores(q), 1000, off)


def test_the_engine_is_what_it_is_called(engine, filled):
    index, _ = filled
    if engine.name == "qdrant":
        assert index.about["engine"] == "qdrant"
        return
    assert bool(list(index.path.glob("vectors-*.faiss"))) == (engine.name == "sealed")
    (codecs,) = index._database.execute("SELECT count(*) FROM codecs").fetchone()
    assert codecs == (engine.name == "sealed")


def test_files_and_rows(engine, filled):
    index, slow = filled
    assert index.sources() == slow.sources()
    assert len(index) == len(slow.rows())
    for source in slow.sources()[::7]:
        assert index.source(source.id) == source
    with pytest.raises(UserError, match="no file of number 999999"):
        index.source(999_999)


@pytest.mark.parametrize("k", [1, 7, 10_000])
def test_the_nearest_rows_best_first(engine, filled, k):
    index, slow = filled
    queries = unit(5, seed=1)
    for query, hits in zip(queries, index.search(queries, k)):
        same_hits(hits, slow.scores(query), k, engine.score)
        for hit in hits[:20]:
            assert hit.source.id <= hit.row < hit.source.id + hit.source.rows
            assert (hit.file, (hit.start, hit.end)) == (hit.source.path, hit.source.times(hit.row))


def test_a_row_finds_itself(engine, filled):
    index, slow = filled
    rows = slow.rows()[::9]
    found = index.search(np.stack([e.vectors[n] for _, e, n in rows]), 1)
    assert [hits[0].row for hits in found] == [row for row, _, _ in rows]


dates = st.none() | st.sampled_from(["1950", "1957", "1957-03", "1957-03-21", "1957-04", "1962-11", "1980"])
filters = st.builds(
    lambda modality, folder, bounds, details: Where(modality, folder, *bounds, details),
    st.none() | st.sampled_from(["audio", "image", "text"]),
    st.none() | st.sampled_from(["/", "/tapes", "/tapes/a", "/tapes/a/", "/tapes/b", "/photos", "/tape", "/nowhere"]),
    st.tuples(dates, dates).filter(lambda b: not all(b) or b[0] <= b[1] + "~"),
    st.dictionaries(
        st.sampled_from(["speaker", "language", "accent"]),
        st.lists(st.sampled_from(["Anna", "Bo", "Ève", "lt", "nobody"]), max_size=3),
        max_size=2,
    ),
)


@settings(max_examples=60)
@given(where=filters, k=st.sampled_from([1, 5, 300]), seed=st.integers(0, 50))
def test_filters(engine, filled, where, k, seed):
    index, slow = filled
    query = unit(1, seed)
    same_hits(index.search(query, k, where)[0], slow.scores(query[0], where), k, engine.score)
    drawn = index.sample(k, seed, where)
    rows = [row for row, _, _ in slow.rows(where)]
    chosen = np.sort(np.random.default_rng(seed).permutation(len(rows))[:k])
    assert [h.row for h in drawn] == [rows[i] for i in chosen]  # the same ones of every engine


@pytest.mark.parametrize(
    ("where", "message"),
    [
        (Where(since="soon"), "date 'soon'"),
        (Where(until="1957-3"), "1957-3"),
        (Where(since="1960", until="1950"), "1960"),
    ],
)
def test_dates_that_are_none_are_refused(filled, where, message):
    with pytest.raises(UserError, match=message):
        filled[0].search(unit(1), 3, where)


def test_queries_of_another_width_are_refused(filled):
    for wrong in (np.zeros((1, 5), np.float32), np.zeros(DIM, np.float32)):
        with pytest.raises(UserError, match=rf"takes \(Q, {DIM}\)"):
            filled[0].search(wrong)


def test_wholes(engine, filled):
    index, slow = filled
    hits = index.sample(50, seed=3)
    rows = {row: e.vectors[n] for row, e, n in slow.rows()}
    pooled = index.pooled([*hits, hits[0]])
    np.testing.assert_allclose(np.linalg.norm(pooled, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(pooled, [rows[h.row] for h in [*hits, hits[0]]], atol=max(engine.score, 1e-3))
    assert index.pooled([]).shape == (0, DIM)


def test_frames_are_those_of_the_segment(engine, filled):
    index, slow = filled
    rows = {row: (e, n) for row, e, n in slow.rows()}
    hits = index.sample(10_000)
    asked = unit(8, seed=4)
    off = []
    for hit, local in zip(hits, index.local(hits)):
        true = slow.local(*rows[hit.row])
        assert local.shape == true.shape
        if len(true):
            size = np.linalg.norm(true, axis=1, keepdims=True)
            np.testing.assert_allclose(np.linalg.norm(local, axis=1, keepdims=True), size, rtol=0.04)
            off.append((local - true) @ asked.T / size)
    assert np.sqrt((np.concatenate(off) ** 2).mean()) < engine.frame


def test_fewer_dimensions_have_the_products_of_all(filled):
    index, _ = filled
    hits, asked = index.sample(40, seed=2), unit(6, seed=8)
    reduced, projected = index.reduced(hits, asked)
    for local, fewer in zip(index.local(hits), reduced):
        np.testing.assert_allclose(fewer @ projected.T, local @ asked.T, atol=1e-4)
        np.testing.assert_allclose(np.linalg.norm(fewer, axis=1), np.linalg.norm(local, axis=1), rtol=1e-3)


def test_lines_of_texts(filled):
    index, slow = filled
    rows = {row: e.texts[n] if e.texts else "" for row, e, n in slow.rows()}
    hits = index.sample(10_000)
    assert index.texts(hits) == [rows[h.row] for h in hits]
    assert any(rows.values())


def test_counts_and_facets(filled):
    index, slow = filled
    files = [e for _, e in slow.files.values()]
    kinds = [e.modality for e in files]
    seconds = sum(e.seconds for e in files)
    assert index.counts() == {
        "recordings": kinds.count("audio"),
        "pictures": kinds.count("image"),
        "texts": kinds.count("text"),
        "segments": len(slow.rows()),
        "hours": pytest.approx(seconds / 3600),
    }
    facets = index.facets()
    assert list(facets) == ["date", "folder", "language", "speaker"]
    for column in ("date", "language", "speaker"):
        values = [e.details[column] for e in files if column in e.details]
        assert facets[column] == {v: values.count(v) for v in values}
        assert list(facets[column].values()) == sorted(facets[column].values(), reverse=True)
    assert facets["folder"]["/tapes/a"] == sum(e.path.rpartition("/")[0] == "/tapes/a" for e in files)
    assert len(index.facets(most=2)["speaker"]) == 2


# Writing -------------------------------------------------------------------------------------------------------------

paths = st.sampled_from([f"/t/{folder}/{name}" for folder in ("a", "b") for name in ("x", "y", "z")])
contents = st.integers(0, 3)
speakers = st.sampled_from([{}, {"speaker": "Anna"}, {"speaker": "Bo", "date": "1957"}])
steps = st.lists(
    st.tuples(st.just("put"), paths, contents, speakers)
    | st.tuples(st.just("put"), paths, contents, speakers)
    | st.tuples(st.just("touch"), paths, paths, speakers)
    | st.tuples(st.just("copy"), paths, paths, speakers)
    | st.tuples(st.just("remove"), paths)
    | st.just(("commit",)),
    max_size=12,
)
CAME_AND_WENT = [("put", "/t/b/z", 0, {}), ("remove", "/t/b/z")]  # leaves nothing but numbers that are used up
made = [{"seconds": 9.0}, {"seconds": 2.5}, {"texts": ("one", "two")}, {}]


class Stopped(Exception):
    pass


def apply(index, writer, slow, step):
    """One step on both; of files that are there, as the index says now."""
    kind, *rest = step
    known = {s.path: s for s in slow.sources()}
    if kind == "put":
        path, content, details = rest
        new = entry(path, content, **made[content], details=details)
        writer.put(new)
        slow.put(new)
    elif kind == "touch" and rest[0] in known:
        path, to, details = rest
        slow.files.pop(to if to != path else "", None)
        writer.touch(known[path], path=to, size=7, modified=8, details=details)
        slow.touch(path, to, 7, 8, details)
    elif kind == "copy" and rest[0] in known and rest[0] != rest[1]:
        path, to, details = rest
        e = slow.files[path][1]
        new = replace(e, path=to, size=5, modified=6, details=details)
        writer.copy(known[path], replace(new, vectors=np.zeros((0, 0), np.float32), local=None, texts=()))
        slow.put(new)
    elif kind == "remove" and rest[0] in known:
        writer.remove(known[rest[0]])
        slow.remove(rest[0])


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(first=steps, second=steps)
@example(first=CAME_AND_WENT, second=[("put", "/t/a/x", 0, {}), ("commit",)])
@example(first=CAME_AND_WENT, second=[("put", "/t/a/x", 0, {}), ("touch", "/t/a/x", "/t/a/x", {}), ("commit",)])
@example(first=[*CAME_AND_WENT, ("commit",)], second=[("put", "/t/a/x", 0, {}), *CAME_AND_WENT, ("commit",)])
def test_whatever_is_written_is_there_and_what_an_error_stopped_is_not(engine, tmp_path, first, second):
    address, slow = engine.address(tmp_path), Slow()
    index = create_index(address, ABOUT)
    other = open_index(address)
    with index.writing() as writer:
        for step in first:
            writer.commit() if step == ("commit",) else apply(index, writer, slow, step)
    same(index, slow, engine.score)
    same(other, slow, engine.score)  # a second index object sees it
    kept = stopped(index, slow, second)
    slow.files, slow.next = kept
    same(index, slow, engine.score)
    same(other, slow, engine.score)
    frames_and_lines(other, slow, engine)
    index.close(), other.close()


def stopped(index, slow, steps):
    """Takes steps until an error; what the dictionary held at the last commit."""
    kept = (dict(slow.files), slow.next)
    try:
        with index.writing() as writer:
            for step in steps:
                if step == ("commit",):
                    writer.commit()
                    kept = (dict(slow.files), slow.next)
                else:
                    apply(index, writer, slow, step)
            raise Stopped
    except Stopped:
        return kept


def frames_and_lines(index, slow, engine):
    rows = {row: (e, n) for row, e, n in slow.rows()}
    hits = index.sample(1000)
    assert [h.row for h in hits] == sorted(rows)
    for hit, local, text in zip(hits, index.local(hits), index.texts(hits)):
        e, n = rows[hit.row]
        np.testing.assert_allclose(local, slow.local(e, n), atol=3 if engine.name == "sealed" else 1e-3)
        assert text == (e.texts[n] if e.texts else "")


def test_a_second_writer_is_refused(engine, empty):
    other = open_index(empty.path)
    with empty.writing() as writer:
        writer.put(entry("/a.wav", seconds=2.0))
        with pytest.raises(UserError, match="another process is writing"), other.writing():
            pass
        writer.put(entry("/b.wav", seconds=2.0))
    with other.writing() as writer:
        writer.put(entry("/c.wav", seconds=2.0))
    assert [s.path for s in empty.sources()] == ["/a.wav", "/b.wav", "/c.wav"]
    other.close()


def test_vectors_of_another_width_are_refused(empty):
    wrong = entry("/a.wav", seconds=2.0)
    with pytest.raises(UserError, match=r"/a\.wav"), empty.writing() as writer:
        writer.put(type(wrong)(wrong.path, wrong.hash, 1, 1, "audio", 2.0, unit(1, dim=5), wrong.local))
    assert len(empty) == 0


def test_an_empty_index_answers(empty):
    assert len(empty) == 0
    assert empty.search(unit(2), 3) == [[], []]
    assert empty.search(unit(1), 3, Where(modality="audio")) == [[]]
    assert (empty.sources(), empty.sample(3), empty.facets()) == ([], [], {"folder": {}})
    assert empty.counts()["segments"] == 0


def test_what_left_the_index_is_answered_with_nothing(engine, empty):
    with empty.writing() as writer:
        for n in range(12):
            writer.put(entry(f"/{n}.wav", n, seconds=7.0))
        writer.put(entry("/t.txt", texts=["gone soon"]))
    hits = [h for h in empty.sample(1000) if h.file in ("/3.wav", "/t.txt")]
    with empty.writing() as writer:
        for source in {h.source.id: h.source for h in hits}.values():
            writer.remove(source)
    assert all(not len(local) for local in empty.local(hits))
    assert empty.texts(hits) == [""] * len(hits)
    (found,) = empty.search(unit(1), 1000)
    assert {h.file for h in found} == {f"/{n}.wav" for n in range(12) if n != 3}


def test_an_index_is_made_once(engine, tmp_path):
    address = engine.address(tmp_path)
    index = create_index(address, ABOUT)
    with index.writing() as writer:
        writer.put(entry("/a.wav", seconds=2.0))
    index.close()
    again = create_index(address, {**ABOUT, "run": "/runs/moved"})
    assert len(again) == 1
    assert open_index(address).about["run"] == "/runs/moved"
    with pytest.raises(UserError, match="another model"):
        create_index(address, {**ABOUT, "model": "4567"})
    assert len(again) == 1
    again.close()
