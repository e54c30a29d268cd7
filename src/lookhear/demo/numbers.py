"""The report's tables and charts: figures with their intervals, beside the seed's tower, the teacher and chance."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lookhear.demo.charts import Line, line_chart, percent, stacked_bar, word_bars
from lookhear.demo.results import DIRECTIONS, LISTS, VOICES

__all__ = ["learning", "read_log", "retrieval_table", "spending", "spotting_table", "tiles", "voices_table", "words"]

Evaluation = Mapping[str, Mapping[str, Mapping[str, Any]]]
LIST_NAMES = {
    "spoken": ("Spoken in training", "dog, umbrella, beach"),
    "synonym": ("Never-spoken synonyms", "puppy for dog, yacht for boat"),
    "unseen": ("Never-spoken things", "giraffe, castle: neither heard nor seen by the speech tower"),
}


def _figure(fig: Mapping[str, Any] | None, bar: bool = False) -> str:
    """A table cell: the value in percent, its interval small below, and a bar behind it if asked."""
    if fig is None:
        return "<td>–</td>"
    text = f"<b>{percent(fig['value'])}</b>"
    if fig["low"] is not None:
        text += f"<small>{percent(fig['low'])}–{percent(fig['high'])}</small>"
    style = f' class="bar" style="--v:{100 * fig["value"]:.1f}%"' if bar else ""
    return f"<td{style}>{text}</td>"


def _table(head: str, rows: list[str], note: str = "") -> str:
    foot = f'<p class="note">{note}</p>' if note else ""
    body = "".join(f"<tr>{r}</tr>" for r in rows)
    return f'<div class="scroll"><table><thead>{head}</thead><tbody>{body}</tbody></table></div>{foot}'


def tiles(results: Mapping[str, Any]) -> str:
    """The headline figures."""
    r, s, p, v = (results[k] for k in ("retrieval", "spotting", "localisation", "voices"))
    gap = 100 * (v["unseen"]["audio_to_image_R@10"] - v["seen"]["audio_to_image_R@10"])
    image, text, spoken = r["audio_to_image"], r["text_to_audio"], s["spoken"]
    # Like for like: the best moment of a recording against the best patch of a picture.
    ceiling = spoken["mAP"] / spoken["teacher_peak_mAP"] if spoken["teacher_peak_mAP"] else None
    cells = [
        (percent(image["R@10"]), "%", "speech finds its picture", f"among the first 10 of {image['size']}; chance "
         f"{percent(image['chance_R@10'])} %"),
        (percent(text["R@10"]), "%", "a written caption finds its recording", f"among the first 10 of {text['size']}"),
        (percent(ceiling), "%", "of the teacher’s word knowledge", f"spotting mAP {percent(spoken['mAP'])}, the "
         f"teacher’s on pictures {percent(spoken['teacher_peak_mAP'])}"),
        (percent(p["oracle_accuracy"]), "%", "of words found where they are said", f"{p['pairs']:,} spoken words; "
         f"chance {percent(p['chance'])} %"),
        (f"{gap:+.1f}".replace("-", "−"), "points", "in voices never heard before", "speech to picture, against "
         "voices of the training"),
    ]  # fmt: skip
    return "".join(
        f'<div class="tile"><strong>{value}<small>{unit}</small></strong><span>{what}</span><em>{more}</em></div>'
        for value, unit, what, more in cells
    )


def retrieval_table(evaluation: Evaluation) -> str:
    """Six directions: ours and the seed's tower at each cut-off, and chance."""
    ours, seed = evaluation["ours"]["retrieval"], evaluation["seed_tower"]["retrieval"]
    cuts = ("R@1", "R@5", "R@10")
    head = (
        '<tr><th rowspan="2">direction</th><th colspan="3">our tower</th><th colspan="3">the seed’s tower</th>'
        '<th rowspan="2">chance<br>R@10</th><th rowspan="2">gallery</th></tr>'
        f"<tr>{''.join(f'<th>{c}</th>' for c in (*cuts, *cuts))}</tr>"
    )
    rows = []
    for name in DIRECTIONS:
        d, s, heard = ours[name], seed[name], "audio" in name
        label = name.replace("audio", "speech").replace("image", "picture").replace("_to_", " → ")
        mark = "" if heard else " <small>the teacher itself</small>"
        cells = "".join(_figure(d[c], bar=c == "R@10" and heard) for c in cuts)
        cells += "".join(_figure(s[c]) if heard else '<td class="same">same</td>' for c in cuts)
        rows.append(f"<th>{label}{mark}</th>{cells}<td>{percent(d['chance_R@10'])}</td><td>{d['size']:,}</td>")
    note = (
        "R@k: the share of queries, in percent, whose right answer is among the first k. Small: 95 % bootstrap "
        "intervals over pictures. Between speech and text the recording of that very caption counts, not a sibling."
    )
    return _table(head, rows, note)


def spotting_table(evaluation: Evaluation) -> str:
    """Keyword spotting by word list, with the teacher's ceiling and chance; then localisation."""
    head = (
        "<tr><th>written words asked</th><th>our tower<br>mAP</th><th>the seed’s<br>mAP</th>"
        "<th>teacher,<br>best patch</th><th>teacher,<br>whole picture</th><th>chance</th><th>words</th></tr>"
    )
    rows = []
    for name in LISTS:
        d, s = evaluation["ours"][name], evaluation["seed_tower"][name]
        title, example = LIST_NAMES[name]
        rows.append(
            f"<th>{title}<small>{example}</small></th>{_figure(d['mAP'], bar=True)}{_figure(s['mAP'])}"
            f"{_figure(d['teacher_peak_mAP'])}{_figure(d['teacher_mAP'])}"
            f"<td>{percent(d['mAP']['chance'])}</td><td>{d['words']}</td>"
        )
    note = (
        "mAP: every recording is ranked for a written word by its best moment; 100 if all that say it come first. The "
        "teacher ranks <em>pictures</em> for the same words. The speech tower learned words from it alone, but what "
        "many pictures agree on is surer than its answer for one, so its figure is no strict ceiling."
    )
    return _table(head, rows, note)


def voices_table(evaluation: Evaluation) -> str:
    """Localisation, and retrieval by seen and unseen voices."""
    head = "<tr><th>measured</th><th>our tower</th><th>the seed’s tower</th><th>chance</th><th>measured on</th></tr>"
    ours, seed = evaluation["ours"], evaluation["seed_tower"]
    a, b = ours["localisation"]["oracle_accuracy"], seed["localisation"]["oracle_accuracy"]
    rows = [
        f"<th>Found inside the spoken word<small>oracle accuracy, no tolerance</small></th>{_figure(a, bar=True)}"
        f"{_figure(b)}<td>{percent(a['chance'])}</td><td>{a['size']:,} spoken words</td>"
    ]
    if "detection" in ours:
        a, b = (m["detection"]["localisation"]["F1"] for m in (ours, seed))
        rows.append(
            "<th>Found in its place where the model is sure<small>F1 of recordings and words, calibrated without "
            f"transcripts</small></th>{_figure(a, bar=True)}{_figure(b)}<td>{percent(a['chance'])}</td>"
            f"<td>{ours['detection']['recordings']:,} recordings</td>"
        )
    for name, label in VOICES.items():
        a, b = (m["retrieval"]["audio_to_image_by"][label] for m in (ours, seed))
        rows.append(
            f"<th>Voices {'heard in training' if name == 'seen' else 'never heard before'}"
            f"<small>speech → picture, R@10</small></th>"
            f"{_figure(a, bar=True)}{_figure(b)}<td>{percent(a['chance'])}</td><td>{a['queries']:,} recordings</td>"
        )
    return _table(head, rows)


def words(evaluation: Evaluation) -> str:
    """Average precision of every word, the three lists apart."""
    parts = []
    for name in LISTS:
        ours, seed = (evaluation[m][name]["per_word"] for m in ("ours", "seed_tower"))
        rows = [
            (w, row["AP"], row.get("teacher_peak_AP"), seed[w]["AP"] if w in seed else None)
            for w, row in sorted(ours.items(), key=lambda x: -x[1]["AP"])
        ]
        parts.append(f"<h3>{LIST_NAMES[name][0]} <small>{len(rows)} words</small></h3>{word_bars(rows)}")
    return "".join(parts)


def read_log(path: Path) -> list[dict[str, Any]]:
    """Log lines by step; of steps run twice (a stopped run goes on from its checkpoint) the later line."""
    rows: dict[tuple[int, bool], dict[str, Any]] = {}
    if path.is_file():
        for line in path.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            rows[row["step"], "validation" in row] = row
    return [rows[k] for k in sorted(rows)]


def _losses(log: list[dict[str, Any]]) -> list[tuple[float, float]]:
    return [(r["step"], r["loss"]) for r in log if "loss" in r]


def _validation(log: list[dict[str, Any]], name: str) -> list[tuple[float, float]]:
    return [(r["step"], r["validation"][name]) for r in log if name in r.get("validation", {})]


def learning(run: Path, seed_run: Path) -> str:
    """Learning curves of the teacher, our tower and the seed's."""
    teacher, ours, seed = (
        read_log(run / "teacher.log.jsonl"),
        read_log(run / "speech.log.jsonl"),
        read_log(seed_run / "speech.log.jsonl"),
    )
    both = (("our tower", "ours", ours), ("the seed’s tower", "seed", seed))
    charts = [
        line_chart("Teacher: loss", [Line("teacher", "teacher", _losses(teacher))], "steps"),
        line_chart("Speech towers: loss", [Line(n, s, _losses(log)) for n, s, log in both], "steps"),
    ]
    figures = {
        "retrieval": "Speech → picture, R@10",
        "spoken": "Keyword spotting, mAP",
        "localisation": "Words found in place",
    }
    for name, title in figures.items():
        lines = [Line(n, s, _validation(log, name)) for n, s, log in both]
        if any(len(line.points) > 1 for line in lines):
            charts.append(line_chart(title, lines, "steps", share=True))
    return f'<div class="plots">{"".join(charts)}</div>'


def spending(results: Mapping[str, Any]) -> str:
    """Where the minutes went, and the memory."""
    s = results["seconds"]
    names = {
        "data": "picture book",
        "teacher": "teacher",
        "speech": "both speech towers",
        "evaluation": "evaluation",
    }
    parts = [(label, s[k]) for k, label in names.items()]
    parts.append(("search and report", max(0.0, s["total"] - sum(v for _, v in parts))))
    own = results["step_seconds"]
    text = (
        f"{s['total'] / 60:.1f} minutes in all, {results['peak_memory_gb']:.1f} GB at most in all processes. The "
        f"training steps of our tower took {own['ours']:.0f} s, those of the seed’s {own['seed_tower']:.0f} s."
    )
    return f"<p>{text}</p>{stacked_bar(parts)}"
