"""Small archives of made-up files, and what they must hold."""

import numpy as np
import pytest
from made_up import ABOUT, Slow, entry, unit

from lookhear.errors import UserError
from lookhear.search.index import create_index, open_index


def files(first, last):
    return [entry(f"/tapes/{n}.wav", n, seconds=[1.5, 7.0, 9.5][n % 3]) for n in range(first, last)]


def fill(path, first=0, last=12):
    index = create_index(path, ABOUT)
    with index.writing() as writer:
        for e in files(first, last):
            writer.put(e)
    return index


def contents(path):
    """Path → vectors and lengths of frames, in a new index object."""
    index = open_index(path)
    out = {}
    for source in index.sources():
        hits = [source.hit(row) for row in range(source.id, source.id + source.rows)]
        lengths = np.concatenate([np.linalg.norm(local, axis=1) for local in index.local(hits)])
        out[source.path] = (index.pooled(hits), lengths)
    found = index.search(unit(1), len(index) + 5)[0]
    assert sorted({f.row for f in found}) == sorted(f.row for f in found)
    assert len(found) == len(index) == sum(len(v) for v, _ in out.values())
    index.close()
    return out


def check(held, names):
    """That an archive holds just these files, each whole."""
    made = {e.path: e for e in files(0, 40)}
    assert set(held) == {f"/tapes/{n}.wav" for n in names}
    for path, (vectors, lengths) in held.items():
        true = made[path]
        np.testing.assert_allclose(vectors, true.vectors, atol=0.05)
        parts = [Slow.local(true, n) for n in range(len(true.vectors))]
        np.testing.assert_allclose(lengths, np.linalg.norm(np.concatenate(parts), axis=1), rtol=0.04)


def refused(call, *args, **options):
    """The one line of a user's mistake."""
    with pytest.raises(UserError) as e:
        call(*args, **options)
    assert "\n" not in str(e.value)
    return str(e.value)


def put_all(index, entries, commit_after=None, before=lambda: None):
    """In one transaction, or each so many."""
    with index.writing() as writer:
        before()
        for n, e in enumerate(entries, 1):
            writer.put(e)
            if commit_after and n % commit_after == 0:
                writer.commit()
