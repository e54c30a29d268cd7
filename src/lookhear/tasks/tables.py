"""Evaluation results as plain-text tables: value, 95 % interval, chance, size, and the teacher beside."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lookhear.tasks.detection_table import detection
from lookhear.tasks.layout import grid, percent, with_interval

__all__ = ["tables"]


def _retrieval(result: Mapping[str, Any]) -> str:
    directions = {k: v for k, v in result.items() if isinstance(v, dict) and "queries" in v}
    if not directions:
        return ""
    cuts = [k for k in next(iter(directions.values())) if k.startswith("R@")]
    chance = f"chance {cuts[-1]}"
    rows = [["direction", *cuts, chance, "median rank", "gallery", "queries"]]
    for name, d in directions.items():
        figures = [with_interval(d[c]) for c in cuts]
        median = with_interval(d["median_rank"], 1)
        rows.append([_arrow(name), *figures, percent(d[cuts[-1]]["chance"]), median, str(d["size"]), str(d["queries"])])
    text = grid(rows)
    for name, d in directions.items():
        if "P@10" in d:
            text += f"\n{_arrow(name)} P@10 {with_interval(d['P@10'])}, chance {percent(d['P@10']['chance'])}"
    for name, parts in result.items():
        if name.endswith("_by") and isinstance(parts, dict):
            split = "; ".join(f"{label}: {with_interval(f)} of {f['queries']}" for label, f in parts.items())
            text += f"\n{_arrow(name.removesuffix('_by'))} {cuts[-1]} by group: {split}"
    return text


def _arrow(direction: str) -> str:
    return direction.replace("_to_", " → ")


def _spotting(result: Mapping[str, Any]) -> str:
    rows = [["figure", "value", "chance", "teacher on pictures", "by its best patch", "words", "recordings"]]
    for name in ("mAP", "P@10", "P@N", "EER", "accuracy"):
        if result.get(name) is not None:
            teacher = [with_interval(result[k]) if name == "mAP" else "" for k in ("teacher_mAP", "teacher_peak_mAP")]
            rows.append(
                [
                    name,
                    with_interval(result[name]),
                    percent(result[name]["chance"]),
                    *teacher,
                    str(result["words"]),
                    str(result["recordings"]),
                ]
            )
    text = grid(rows)
    if "confusion" in result:
        labels, counts = result["confusion"]["labels"], result["confusion"]["counts"]
        table = [["true \\ answered", *labels], *([w, *map(str, row)] for w, row in zip(labels, counts, strict=True))]
        text += "\n\n" + grid(table)
    return text


def _localisation(result: Mapping[str, Any]) -> str:
    fig = result["oracle_accuracy"]
    return grid(
        [
            ["figure", "value", "chance", "pairs", "words"],
            ["oracle accuracy", with_interval(fig), percent(fig["chance"]), str(fig["size"]), str(result["words"])],
        ]
    )


def _regions(result: Mapping[str, Any]) -> str:
    head = "figure", "value", "chance", "centre", "word-blind", "whole picture", "ceiling", "mean over words"
    rows = [[*head, "pairs", "words"]]
    names = {"pointing": "pointing game", "iou": "IoU above half", "iou_learned": "IoU above the threshold"}
    for key, name in names.items():
        if key in result:
            fig, pointing = result[key], key == "pointing"
            beside = [percent(result[k]) if pointing else "" for k in ("centre", "word_blind")]
            beside += ["" if pointing else percent(result[k]) for k in ("iou_whole", "iou_ceiling")]
            over = with_interval(result[f"{key}_words"])
            sizes = [str(fig["size"]), str(result["words"])]
            rows.append([name, with_interval(fig), percent(fig["chance"]), *beside, over, *sizes])
    asked = "written words" if result["by"] == "text" else "spoken words"
    return f"{asked}, {result['pictures']} pictures\n{grid(rows)}"


WRITERS = {
    "retrieval": _retrieval,
    "spotting": _spotting,
    "localisation": _localisation,
    "detection": detection,
    "regions": _regions,
}


def tables(results: Mapping[str, Mapping[str, Any]]) -> str:
    """One table for each section of ``evaluate``'s result, in percent, with 95 % intervals in brackets."""
    blocks = []
    for name, result in results.items():
        protocol = f", protocol {result['protocol']}" if "protocol" in result else ""
        title = f"{name} ({result['kind']}{protocol}; %, 95 % intervals over {result['interval_over']})"
        blocks.append(f"{title}\n{WRITERS[result['kind']](result)}")
    return "\n\n".join(blocks)
