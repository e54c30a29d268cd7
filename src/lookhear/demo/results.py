"""``results.json``: the demo's figures as a plain tree of fractions, out of what ``evaluate`` gave."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["DIRECTIONS", "LISTS", "figures", "results_tree"]

DIRECTIONS = (
    *("audio_to_image", "image_to_audio", "audio_to_text", "text_to_audio"),
    *("image_to_text", "text_to_image"),
)
LISTS = ("spoken", "synonym", "unseen")
VOICES = {"seen": "true", "unseen": "false"}
"""Our name of a half of the voices → the value of the column ``voice_seen``."""

Result = Mapping[str, Any]


def figures(results: Mapping[str, Result]) -> dict[str, Any]:
    """Retrieval, spotting, localisation and voices of one model.

    Args:
        results: section name → result, as of ``evaluate``: "retrieval", the word lists, "localisation".
    """
    retrieval, place = results["retrieval"], results["localisation"]
    found = {"detection": _detection(results["detection"])} if "detection" in results else {}
    return {
        "retrieval": {d: _direction(retrieval[d]) for d in DIRECTIONS},
        "spotting": {name: _spotting(results[name]) for name in LISTS},
        "localisation": {
            "oracle_accuracy": place["oracle_accuracy"]["value"],
            "chance": place["chance"],
            "pairs": place["pairs"],
        },
        **found,
        "voices": {
            name: {"audio_to_image_R@10": retrieval["audio_to_image_by"][label]["value"]}
            for name, label in VOICES.items()
        },
    }


def _detection(result: Result) -> dict[str, Any]:
    place = result["localisation"]
    return {
        # A tower that is sure of nothing has no precision.
        **{k: None if place[k] is None else place[k]["value"] for k in ("precision", "recall", "F1")},
        "chance_F1": place["F1"]["chance"],
        "P@10": result["spotting"]["P@10"]["value"],
        "words": result["words"],
    }


def _direction(result: Result) -> dict[str, Any]:
    return {
        **{k: result[k]["value"] for k in ("R@1", "R@5", "R@10")},
        "chance_R@10": result["chance_R@10"],
        "size": result["size"],
    }


def _spotting(result: Result) -> dict[str, Any]:
    teacher = {k: None if result[k] is None else result[k]["value"] for k in ("teacher_mAP", "teacher_peak_mAP")}
    return {
        "mAP": result["mAP"]["value"],
        **teacher,
        "chance": result["mAP"]["chance"],
        "words": result["words"],
    }


def results_tree(
    evaluation: Mapping[str, Mapping[str, Result]],
    *,
    seconds: Mapping[str, float],
    step_seconds: Mapping[str, float],
    memory: Mapping[str, float],
    seed: int,
) -> dict[str, Any]:
    """The whole of ``results.json``.

    Args:
        evaluation: "ours" and "seed_tower" → section → result.
        seconds: stage → seconds, and "total"; a stage whose outcome lay there before counts 0.
        step_seconds: "ours" and "seed_tower" → seconds of its training steps, which run side by side in "speech".
        memory: "peak_memory_gb" and "peak_resident_gb".
    """
    kept = ("data", "teacher", "speech", "evaluation", "total")
    return {
        **figures(evaluation["ours"]),
        "seed_tower": figures(evaluation["seed_tower"]),
        "seconds": {k: round(seconds.get(k, 0.0), 2) for k in kept},
        "step_seconds": {k: round(v, 2) for k, v in step_seconds.items()},
        **{k: round(v, 3) for k, v in memory.items()},
        "seed": seed,
    }
