"""Hits as one HTML page that needs no network: each tape's waveform with its hits, and hits to sort, see and hear."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from importlib import resources
from pathlib import Path

from lookhear.core import Hit
from lookhear.search.hits.cards import Row, clock, found_rows, tape_map
from lookhear.search.hits.excerpts import Excerpts
from lookhear.search.spot import Heard, best_first

__all__ = ["write_page"]

COLOURS = 8
"""Of ``pages/palette.css``."""
_POLICY = "default-src 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"


def write_page(
    found: Sequence[Heard], names: Sequence[str], out: Path, excerpts: Excerpts | None = None, players: int = 200
) -> None:
    """Writes the page.

    Args:
        found: recordings with their hits.
        names: all queries, in the order of their colours.
        excerpts: hears the seconds about hits; None for a page without players.
        players: how many hits can be played and seen: the best ones of all recordings. The others are only listed.

    A recording that cannot be read any more is told on the page, and its hits are listed.
    """
    out.write_text(_page(found, names, excerpts, players), encoding="utf-8", errors="replace")


def _page(found: Sequence[Heard], names: Sequence[str], excerpts: Excerpts | None, players: int) -> str:
    pages = resources.files("lookhear") / "pages"
    style = "".join((pages / f"{name}.css").read_text(encoding="utf-8") for name in ("page", "palette", "spot"))
    script = "".join((pages / f"{name}.js").read_text(encoding="utf-8") for name in ("page", "spot"))
    hits = best_first(h for heard in found for h in heard.hits)
    played = set(map(id, hits[:players] if excerpts is not None else ()))
    colours = {name: f"c{k % COLOURS}" for k, name in enumerate(names)}
    title = _count(len(hits), "hit") + " of " + (_count(len(names), "query") if len(names) > 3 else _listed(names))
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f'<meta name="color-scheme" content="light dark"><title>LookHear: {escape(title)}</title>'
        f'<style>{style}</style></head><body><header class="plain"><p class="brand">Look<b>Hear</b></p>'
        f"<h1>{escape(title)}</h1>{_story(found, hits, players if excerpts is not None else 0)}</header>"
        f"<main>{_choices(names, colours, hits)}{_tapes(found, names, colours, excerpts, played)}</main>"
        f"<footer>{_legend(hits)}</footer><script>{script}</script></body></html>\n"
    )


def _count(number: int, what: str) -> str:
    many = {"query": "queries"}.get(what, what + "s")
    return f"{number:,} {what if number == 1 else many}"


def _listed(names: Sequence[str]) -> str:
    quoted = [f"“{n}”" for n in names]
    return quoted[0] if len(quoted) == 1 else ", ".join(quoted[:-1]) + " and " + quoted[-1]


def _story(found: Sequence[Heard], hits: Sequence[Hit], players: int) -> str:
    told = f"In {_count(len(found), 'recording')}, {clock(sum(h.seconds for h in found))} long"
    told += "." if len(found) == 1 else " together."
    if players < len(hits):
        told += f" The {players:,} best can be played and seen; the others are listed."
    return f'<p class="story">{told}</p>'


def _choices(names: Sequence[str], colours: dict[str, str], hits: Sequence[Hit]) -> str:
    """Which queries are shown, and from which score on."""
    count = {name: sum(h.query == name for h in hits) for name in names}
    chips = "".join(
        f'<button type="button" class="chip {colours[name]}" aria-pressed="true" data-word="{k}"><i></i>'
        f'<span dir="auto">{escape(name)}</span> <b>{count[name]:,}</b></button>'
        for k, name in enumerate(names)
    )
    worths = [Row.worth(h) for h in hits]
    if not worths or min(worths) == max(worths):
        return f'<div class="choices">{chips}</div>'
    low, sure = min(worths), hits[0].probability is not None
    slider = (
        f'<label class="least">from <input type="range" min="{low:.3f}" max="{max(worths):.3f}" step="0.001" '
        f'value="{low:.3f}" data-percent="{int(sure)}"><output></output></label>'
    )
    return f'<div class="choices">{chips}{slider}</div>'


def _tapes(
    found: Sequence[Heard],
    names: Sequence[str],
    colours: dict[str, str],
    excerpts: Excerpts | None,
    played: set[int],
) -> str:
    top = max((Row.worth(h) for heard in found for h in heard.hits), default=1.0)
    body, number = "", 0
    silent = [heard for heard in found if not heard.hits]
    for k, heard in enumerate(h for h in found if h.hits):
        rows = [
            Row(number + i, h, names.index(h.query), colours[h.query], id(h) in played)
            for i, h in enumerate(best_first(heard.hits))
        ]
        number += len(rows)
        path = Path(heard.file)
        place = "" if path.parent == Path() else f"{escape(str(path.parent))} · "
        lead = f"{place}{clock(heard.seconds)} · {_count(len(rows), 'hit')}"
        body += (
            f'<section id="tape{k}" class="tape"><h2>{escape(path.name)}</h2><p class="lead">{lead}</p>'
            f"{tape_map(heard, rows, names, min(800, max(100, 40_000 // len(found))))}"
            f"{found_rows(heard, rows, excerpts, top)}</section>"
        )
    if silent:
        listed = "".join(f"<li>{escape(h.file)} <small>{clock(h.seconds)}</small></li>" for h in silent)
        body += f'<section id="nothing"><h2>Nothing found in</h2><ul class="remarks">{listed}</ul></section>'
    return body


def _legend(hits: Sequence[Hit]) -> str:
    if hits and hits[0].probability is not None:
        scores = "The percentage is how probable it is that the moment is right; the line is its course."
    else:
        scores = (
            "The score is a cosine, not a probability: it orders the hits of one query better than hits of several. "
            "The line is its course, up to the best hit of this page."
        )
    return (
        '<p class="note">Above: the loudness of a whole recording, and below it a lane for each query with its hits; '
        f"click one to go to its row. In a row: the sound about a hit, the hit shaded. {scores} Written by "
        "<code>lookhear spot</code>.</p>"
    )
