"""What the report shows of single recordings: where words were found, and the best and worst retrievals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from lookhear.audio import load_audio
from lookhear.core import RATE
from lookhear.data.schema import Corpus
from lookhear.tasks.base import Encoded
from lookhear.tasks.keywords import occurrences
from lookhear.wording import tokens

__all__ = ["found_words", "ranked_pictures"]


def _one_a_place(corpus: Corpus, words: Sequence[str], count: int, seed: int) -> list[int]:
    """Rows drawn at random: recordings in unseen voices that say at least two of the words, each of another place."""
    place, seen, text = (corpus.column(c) for c in ("place", "voice_seen", "text"))
    asked, taken, rows = set(words), set(), []
    for row in np.random.default_rng(seed).permutation(corpus.recordings).tolist():
        if not seen[row] and place[row] not in taken and len(asked & set(tokens(text[row]))) >= 2:
            taken.add(place[row])
            rows.append(row)
    return rows[:count]


def found_words(
    encoded: Encoded, words: Sequence[str], template: str | list[str], count: int = 8, seed: int = 0
) -> list[dict[str, Any]]:
    """Random test recordings with the score curve of every asked word that they say, and its highest frame.

    Returns:
        For each: "id", "group", "text", "voice", "place", "seconds", "step" and "words": word → "curve" (N scores),
        "found" (seconds), "spans" (where it is spoken) and "inside" (whether found is).
    """
    corpus, model = encoded.corpus, encoded.model
    columns = {c: corpus.column(c) for c in ("id", "group", "text", "speaker", "place", "words")}
    shown = []
    for row in _one_a_place(corpus, words, count, seed):
        wave = load_audio(corpus.media("audio", row), name=columns["id"][row])
        asked = [w for w in dict.fromkeys(tokens(columns["text"][row])) if w in words]
        with torch.inference_mode():
            features = model.embed_audio([wave])
            curves = model.compatibility.curve(features, encoded.words(asked, template))[0].T
        shown.append(
            {
                **{c: columns[c][row] for c in ("id", "group", "text", "place")},
                "voice": columns["speaker"][row],
                "seconds": len(wave) / RATE,
                "step": features.step,
                "words": {
                    w: _place(curve.numpy(), float(features.step), columns["words"][row], w)  # type: ignore[arg-type]
                    for w, curve in zip(asked, curves)
                },
            }
        )
    return shown


def _place(curve: np.ndarray, step: float, said: list[Mapping[str, Any]], word: str) -> dict[str, Any]:
    curve = curve[np.isfinite(curve)]
    found = (int(curve.argmax()) + 0.5) * step
    spans = occurrences(said, [word])
    return {
        "curve": [round(float(v), 4) for v in curve],
        "found": found,
        "spans": spans,
        "inside": any(a <= found <= b for a, b in spans),
    }


def ranked_pictures(encoded: Encoded, count: int = 3) -> dict[str, list[dict[str, Any]]]:
    """The recordings that find their picture most clearly, and those that miss it by most; each of another scene.

    Returns:
        "best" and "worst" → "id", "text", "right" (group), "rank" (from 1) and "top" (the groups of the first three).
    """
    corpus = encoded.corpus
    scores = encoded.scores(encoded.image.pooled)
    spoken, shown = corpus.groups[corpus.recordings], corpus.groups[corpus.pictures]
    right = spoken[:, None] == shown[None]
    own = np.where(right, scores, -np.inf).max(1)
    lead = own - np.where(right, -np.inf, scores).max(1)
    rank = 1 + (np.where(right, -np.inf, scores) > own[:, None]).sum(1)
    ids, texts, names = (corpus.column(c) for c in ("id", "text", "group"))

    def cases(order: np.ndarray) -> list[dict[str, Any]]:
        found: dict[int, dict[str, Any]] = {}
        for at in order.tolist():
            row = int(corpus.recordings[at])
            first = corpus.pictures[np.argsort(-scores[at], kind="stable")[:3]]
            case = {"id": ids[row], "text": texts[row], "right": names[row], "rank": int(rank[at])}
            found.setdefault(int(spoken[at]), {**case, "top": [names[int(p)] for p in first]})
            if len(found) == count:
                break
        return list(found.values())

    return {"best": cases(np.lexsort((-lead, rank))), "worst": cases(np.lexsort((lead, -rank)))}
