"""Written queries: which words count, each at its best moment against a slow loop, and what two stages find."""

from itertools import combinations
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from lookhear.core import Features
from lookhear.scoring import Compatibility
from lookhear.search import answers
from lookhear.search import rescore as module
from lookhear.search import searcher as first_stage
from lookhear.search.embed import fingerprint
from lookhear.search.index import Entry, Found, Source, create_index
from lookhear.search.question import Part
from lookhear.search.rescore import pad_local, readings
from lookhear.search.searcher import Searcher
from lookhear.wording import content_words

STEP = 0.04


def unit(*shape, seed=0):
    return torch.nn.functional.normalize(torch.randn(*shape, generator=torch.Generator().manual_seed(seed)), dim=-1)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("umbrella", ["umbrella"]),
        ("The Umbrella!", ["umbrella"]),
        ("in the snow", ["snow"]),
        ("a red boat and another red boat", ["red", "boat"]),
        ("an ice-cream, please", ["ice-cream", "please"]),
        ("over there", []),
        ("?!", []),
    ],
)
def test_content_words(text, words):
    assert content_words(text) == words


def test_a_pasted_book_is_cut():
    assert content_words(" ".join(f"w{i}" for i in range(500))) == [f"w{i}" for i in range(100)]


class Rows:
    """Segments of 1 to 9 frames, every fifth row a picture, and what an index says of them."""

    def __init__(self, count=50, dim=6):
        self.about = {"step": STEP}
        rng = np.random.default_rng(0)
        lengths = [0 if i % 5 == 2 else int(n) for i, n in enumerate(rng.integers(1, 10, count))]
        self.vectors = [rng.standard_normal((n, dim)).astype(np.float32) for n in lengths]
        self.wholes = unit(count, dim, seed=3).numpy()
        self.found = [
            Found(f"{i}", "", 0.0, n * STEP, 0.0, i, Source(i, f"{i}", b"", 0, 0, "audio" if n else "image", n, 1))
            for i, n in enumerate(lengths)
        ]
        rng.shuffle(self.found)

    def local(self, hits):
        return [self.vectors[h.row] for h in hits]

    def reduced(self, hits, queries):
        return self.local(hits), queries

    def pooled(self, hits):
        return self.wholes[[h.row for h in hits]]


def listening(compatibility, contrast=1.0):
    return SimpleNamespace(compatibility=compatibility, contrast=lambda pooled: torch.full((len(pooled),), contrast))


def part(whole, words, written=True):
    return Part("q", whole, words, ("",) * len(words), written)


def slow_curve(local, query, width=3):
    """Cosine of the query with the mean of the frames around each, frame by frame."""
    local, half = local.astype(np.float64), width // 2
    means = [local[max(0, n - half) : n + half + 1].mean(0) for n in range(len(local))]
    return np.array([m @ query / np.linalg.norm(m) for m in means])


def slow_score(local, cosine, query, compatibility):
    """The reading of one segment of a recording, written out."""
    whole = cosine
    if compatibility.kind != "sum":
        cosines = slow_curve(local, query.whole[0].numpy(), 1)
        whole = cosines.max()
        if compatibility.kind == "attention":
            weights = np.exp(compatibility.temperature * cosines)
            whole = (weights * cosines).sum() / weights.sum()
    if not len(query.words):
        return whole
    words = np.mean([slow_curve(local, w).max() for w in query.words.numpy()])
    weight = len(list(combinations(query.words, 2))) / 10
    return (words + weight * whole) / (1 + weight)


@pytest.mark.parametrize("kind", ["sum", "max", "attention"])
@pytest.mark.parametrize("count", [0, 1, 2, 5])
@pytest.mark.parametrize("rows", [1, 3, 16, 1000])
def test_readings_agree_with_a_slow_loop_however_they_are_batched(monkeypatch, kind, count, rows):
    monkeypatch.setattr(module, "_ROWS", rows)
    index, compatibility = Rows(), Compatibility(kind=kind, smooth=0.12)
    query = part(unit(1, 6), unit(count, 6, seed=1))
    scores = readings(index, listening(compatibility, 1.5), index.found, query)
    assert len(scores) == 50
    for f, score in zip(index.found, scores.tolist(), strict=True):
        cosine = float(index.wholes[f.row] @ query.whole[0].numpy())
        expected = cosine
        if f.modality == "audio":
            expected = slow_score(index.vectors[f.row], 1.5 * cosine, query, compatibility)
        assert score == pytest.approx(float(expected), abs=1e-5)


def test_one_word_is_its_best_moment_and_the_whole_says_nothing():
    index, word = Rows(), unit(1, 6, seed=1)
    heard = [f for f in index.found if f.modality == "audio"]
    model = listening(Compatibility())
    one, other = (readings(index, model, heard, part(w, word)) for w in (unit(1, 6), word))
    assert one.tolist() == other.tolist()
    assert one.abs().max() <= 1
    # A moment that is looked for is read as a word is.
    assert readings(index, model, heard, part(unit(1, 6), word, written=False)).tolist() == one.tolist()


def test_padding_is_masked_and_pooled_vectors_are_sums():
    local = [np.full((n, 3), n, dtype=np.float16) for n in (2, 5, 1)]
    features = pad_local(local, STEP)
    assert features.mask.sum(1).tolist() == [2, 5, 1]
    assert (features.local[~features.mask] == 0).all()
    for one, given in zip(features, local, strict=True):
        np.testing.assert_array_equal(one.local, given)
        np.testing.assert_allclose(one.pooled, np.full(3, 3**-0.5), atol=1e-6)


class Knows:
    """A model of three words, each an axis; a text is the sum of its words, and the fourth axis is all else."""

    dim, step, compatibility = 4, STEP, Compatibility()

    def state_to_save(self):
        return {}

    calibration = None

    def contrast(self, pooled):
        return torch.ones(len(pooled))

    def embed_texts(self, texts):
        vectors = torch.zeros(len(texts), 4)
        for vector, text in zip(vectors, texts, strict=True):
            for word in content_words(text) or ["there"]:
                vector[{"umbrella": 0, "red": 1, "boat": 2}.get(word, 3)] += 1
        return Features.of_pooled(torch.nn.functional.normalize(vectors, dim=-1))


@pytest.fixture
def search(tmp_path):
    """Recordings as (N, 4) frames by name → the search of an index of them."""

    def make(**recordings):
        model = Knows()
        about = {"run": "", "model": fingerprint(model), "dim": 4, "step": STEP}
        index = create_index(tmp_path / "i", about)
        with index.writing() as writer:
            for name, values in recordings.items():
                local = np.array(values, dtype=np.float16)
                pooled = pad_local([local], STEP).pooled.numpy()
                writer.put(Entry(f"/{name}", b"", 0, 0, "audio", min(len(local) * STEP, 6.0), pooled, local))
        return Searcher(tmp_path / "i", model).search

    return make


def frames(*stretches):
    """(count, umbrella, red, boat) of each stretch; the fourth axis fills unit length."""
    return [[*v, (1 - sum(x * x for x in v)) ** 0.5] for count, *v in stretches for _ in range(count)]


SAID = frames((40, 0, 0, 0), (5, 1, 0, 0), (40, 0, 0, 0))
HINTED = frames((80, 0.5, 0, 0))


def test_a_word_said_once_is_better_than_one_hinted_at_throughout(search):
    find = search(hinted=HINTED, said=SAID, silent=frames((9, 0, 0, 0)))
    for text in ("umbrella", "the umbrella", "An umbrella."):
        hits = find(text)
        assert [h.file[1:] for h in hits] == ["said", "hinted", "silent"]
        assert [h.score for h in hits] == pytest.approx([1, 0.5, 0], abs=1e-3)
        assert (hits[0].start, hits[0].end) == pytest.approx((1.6, 1.8), abs=0.07)  # or 0.24 s about its peak
        assert {h.query for h in hits} == {text}


def test_texts_without_content_words_are_read_as_wholes(search):
    hits = search(hinted=HINTED, said=SAID)("over there")
    wholes = pad_local([np.array(v, dtype=np.float16) for v in (SAID, HINTED)], STEP).pooled[:, 3]
    assert [h.file[1:] for h in hits] == ["said", "hinted"]
    assert [h.score for h in hits] == pytest.approx(wholes.tolist(), abs=1e-3)


def test_a_phrase_wants_all_its_words(search):
    both = frames((40, 0, 0, 0), (5, 0, 1, 0), (5, 0, 0, 1), (40, 0, 0, 0))
    find = search(boats=frames((50, 0, 0, 0.9)), both=both)
    first, second = find("a red boat")
    assert (first.file, second.file) == ("/both", "/boats")
    whole = np.sum(both, 0) / np.linalg.norm(np.sum(both, 0)) @ [0, 0.5**0.5, 0.5**0.5, 0]
    assert first.score == pytest.approx((1 + 0.1 * whole) / 1.1, abs=1e-3)
    assert second.score == pytest.approx((0.45 + 0.1 * 0.9 * 0.5**0.5) / 1.1, abs=1e-3)
    assert 1.6 - 0.07 <= first.start < first.end <= 2.0 + 0.07


@pytest.mark.parametrize("taken", [1, 4, 9, 30])
def test_the_best_moments_of_the_nearest_wholes(search, monkeypatch, taken):
    monkeypatch.setattr(first_stage, "FIRST", taken)
    monkeypatch.setattr(first_stage, "_EACH", 1)
    rng, recordings = np.random.default_rng(0), {}
    for i in range(30):
        quiet, loud = sorted(rng.uniform(0, 1, 2))
        recordings[f"f{i}"] = frames((int(rng.integers(3, 60)), quiet, 0, 0), (5, loud, 0, 0))
    pooled = {f: np.sum(v, 0)[0] / np.linalg.norm(np.sum(v, 0)) for f, v in recordings.items()}
    nearest = sorted(pooled, key=lambda f: -pooled[f])[:taken]
    expected = sorted(nearest, key=lambda f: -max(v[0] for v in recordings[f]))
    hits = search(**recordings)("umbrella", 1)
    assert [h.file[1:] for h in hits] == expected[:1]
    assert [h.file[1:] for h in search(**recordings)("umbrella", taken)] == expected


def test_more_moments_than_the_first_stage_takes(search, monkeypatch):
    monkeypatch.setattr(first_stage, "FIRST", 2)
    find = search(**{f"f{i}": frames((9, i / 20, 0, 0)) for i in range(20)})
    assert [h.file[1:] for h in find("umbrella", 20)] == [f"f{i}" for i in reversed(range(20))]


def test_few_rows_are_placed(search, monkeypatch):
    """Only what is listed is placed: the rest of the first stage is scored in batches."""
    find = search(**{f"f{i}": HINTED for i in range(40)})
    placed = []
    monkeypatch.setattr(answers, "around", lambda *a: placed.append(a) or SimpleNamespace(start=0.0, end=1.0))
    assert len(find("umbrella", 3)) == 3
    assert len(placed) == 4  # and one that tells whether there are more
