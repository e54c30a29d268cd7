"""A look into a corpus: one HTML page with its numbers, a contact sheet of its pictures, and recordings to play."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from html import escape
from importlib import resources
from pathlib import Path

import numpy as np

from lookhear.data.inspect_cards import draw_pictures, players, sheet
from lookhear.data.schema import Corpus
from lookhear.data.store import write_error
from lookhear.data.summary import Histogram, Summary, summarise
from lookhear.data.tally import picture_numbers
from lookhear.errors import UserError

__all__ = ["write_page"]

_POLICY = "default-src 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
_SCRIPT = """"use strict";
document.querySelectorAll(".clip").forEach((clip) => {
  const audio = clip.querySelector("audio");
  const times = (e) => [e, Number(e.dataset.start), Number(e.dataset.end)];
  const words = [...clip.querySelectorAll("[data-start]")].map(times);
  let until = Infinity;
  const light = () => {
    const now = audio.currentTime;
    if (now >= until && !audio.paused) audio.pause();
    words.forEach(([e, start, end]) => e.classList.toggle("on", !audio.paused && start <= now && now < end));
    if (!audio.paused) requestAnimationFrame(light);
  };
  audio.addEventListener("play", light);
  audio.addEventListener("pause", () => { until = Infinity; light(); });
  clip.querySelector(".track").addEventListener("click", () => { until = Infinity; });
  clip.querySelectorAll("button[data-start]").forEach((word) => word.addEventListener("click", () => {
    audio.currentTime = Number(word.dataset.start);
    until = Number(word.dataset.end);
    audio.play();
  }));
});
"""


def write_page(
    corpus: Corpus,
    out: Path,
    pictures: int = 60,
    sounds: int = 24,
    seed: int = 0,
    *,
    summary: Summary | None = None,
) -> Path:
    """Writes one HTML file that needs nothing beside it; the same bytes for the same corpus and seed.

    Args:
        corpus: any; sounds and pictures that are not shown are not read.
        out: the file; one that is there is replaced.
        pictures: how many to draw, without repeats: one of each group, and further ones where the groups run out.
        sounds: how many recordings to draw.
        seed: of both.
        summary: what ``summarise`` says of the corpus, if that was asked before.

    Returns:
        ``out``.

    Raises:
        UserError: ``out`` is a folder or cannot be written. A sound or picture that cannot be read is said on the page.
    """
    out = Path(out)
    if out.is_dir():
        raise UserError(f"{out} is a folder", "Name a file, such as inspect.html.")
    page = _page(corpus, summary or summarise(corpus), pictures, sounds, seed)
    part = out.with_name(f".{out.name}.part")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(page, encoding="utf-8", errors="replace")  # a folder's name may be no Unicode
        part.replace(out)
    except OSError as e:
        with suppress(OSError):  # there may be no folder that it could lie in
            part.unlink()
        raise write_error(e, out) from e
    return out


def _page(corpus: Corpus, summary: Summary, pictures: int, sounds: int, seed: int) -> str:
    pages = resources.files("lookhear") / "pages"  # this page looks like the demo's report, and has its players
    style = "".join((pages / f"{name}.css").read_text(encoding="utf-8") for name in ("page", "inspect"))
    script = (pages / "page.js").read_text(encoding="utf-8") + _SCRIPT
    numbers, rng = picture_numbers(corpus), np.random.default_rng(seed)
    shown = draw_pictures(corpus, numbers, pictures, rng)
    heard = np.sort(rng.permutation(corpus.recordings)[:sounds])
    name = escape(summary.name)
    body = _section("numbers", "In numbers", "The whole corpus, and each of its splits.", _numbers(summary))
    if plots := _plots(summary):
        lead = "The same bins for every corpus, so that corpora can be compared; they widen to the right."
        body += _section("histograms", "Spread", lead, f'<div class="plots">{plots}</div>')
    if summary.whole.frequent:
        lead = f"The {len(summary.whole.frequent)} most frequent words of all texts, and how often they come."
        body += _section("words", "What is said", lead, _often(summary.whole.frequent))
    if len(shown):
        lead = f"{_of(len(shown), summary.whole.pictures, 'pictures')}, with their captions."
        body += _section("pictures", "Pictures", lead, sheet(corpus, numbers, shown))
    if len(heard):
        timed = " Words light up when they are said; click one to hear it alone." if corpus.has("words") else ""
        lead = f"{_of(len(heard), summary.whole.recordings, 'recordings')}.{timed}"
        body += _section("sounds", "Recordings", lead, players(corpus, numbers, heard))
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f'<meta name="color-scheme" content="light dark"><title>LookHear: {name}</title><style>{style}</style></head>'
        f'<body><header class="plain"><p class="brand">Look<b>Hear</b></p><h1>{name}</h1>{_story(summary)}</header>'
        f'<main><div class="tiles">{_tiles(summary)}</div>{body}</main><footer><p class="note">Written by '
        f"<code>lookhear inspect</code>; pictures and recordings drawn with seed {seed}.</p></footer>"
        f"<script>{script}</script></body></html>\n"
    )


def _section(name: str, title: str, lead: str, body: str) -> str:

    return f'<section id="{name}"><h2>{title}</h2><p class="lead">{lead}</p>{body}</section>'


def _of(count: int, among: int | None, things: str) -> str:
    if among is None or count >= among:
        return f"All {count:,} {things}" if count > 1 else f"The only {things[:-1]}"
    return f"{count:,} of {among:,} {things}, drawn at random"


def _story(summary: Summary) -> str:
    splits = ", ".join(escape(p.name) for p in summary.splits)
    where = f" in the splits {splits}" if len(summary.splits) > 1 else f", all in {splits}" if splits else ""
    return f'<p class="story">{summary.whole.items:,} items{where}.</p>'


def _tiles(summary: Summary) -> str:
    whole, told = summary.whole, {label: cells[0] for label, cells in summary.rows()}
    cells: list[tuple[str, str, str, str]] = []
    if whole.lengths is not None:
        estimated = "" if whole.lengths.known == whole.recordings else "≈ "
        long = whole.lengths.hours
        size, unit = (f"{long:,.{1 if long < 100 else 0}f}", "h") if long >= 1 else (f"{60 * long:.1f}", "min")
        more = f"median length {whole.lengths.median:.1f} s, longest {whole.lengths.longest:.1f} s"
        cells.append((estimated + size, unit, f"in {whole.recordings:,} recordings", more))
    if whole.speakers is not None:
        more = "" if whole.languages is None else f"languages: {', '.join(list(whole.languages)[:6])}"
        cells.append((f"{whole.speakers:,}", "", "speakers", more))
    if whole.pictures is not None:
        more = "" if whole.captions is None else f"{whole.captions:.1f} captions for each"
        cells.append((f"{whole.pictures:,}", "", "pictures", more))
    if whole.different:
        cells.append(
            (f"{whole.different:,}", "", "different words", f"in {whole.texts:,} texts of {whole.words:,} words")
        )
    if whole.timed is not None and whole.recordings:
        cells.append((told["with word times, %"], "%", "of recordings have word times", ""))
    return "".join(
        f'<div class="tile"><strong>{escape(value)}<small>{unit}</small></strong><span>{escape(what)}</span>'
        f"<em>{escape(more)}</em></div>"
        for value, unit, what, more in cells
    )


def _numbers(summary: Summary) -> str:
    head = "".join(f"<th{' class=all' if k == 0 else ''}>{escape(p.name)}</th>" for k, p in enumerate(summary.parts))
    rows = ""
    for label, cells in summary.rows():
        style = ["none" if c == "lacking" else "all" if k == 0 else "" for k, c in enumerate(cells)]
        row = "".join(f"<td{f' class={s}' if s else ''}>{escape(c)}</td>" for s, c in zip(style, cells))
        rows += f'<tr><th scope="row">{label}</th>{row}</tr>'
    remarks = "".join(f"<li>{escape(s)}</li>" for s in summary.sentences())
    return (
        f'<div class="scroll" tabindex="0"><table><thead><tr><th></th>{head}</tr></thead><tbody>{rows}</tbody></table>'
        f"</div>{f'<ul class=remarks>{remarks}</ul>' if remarks else ''}"
    )


def _plots(summary: Summary) -> str:
    whole, plots = summary.whole, ""
    if whole.lengths is not None:
        plots += _histogram("Lengths of recordings", "s", whole.lengths.histogram)
    if whole.captions_histogram is not None:
        plots += _histogram("Captions per picture", "", whole.captions_histogram)
    return plots


def _histogram(title: str, unit: str, histogram: Histogram) -> str:
    """Bars as SVG. Bins are drawn equally wide though they are not: the edges below them tell."""
    width, height, left, top, bottom = 420.0, 236.0, 12.0, 22.0, 38.0
    bins, most = histogram.bins, max(histogram.counts)
    step = (width - 2 * left) / max(len(bins), 6)
    left = (width - step * len(bins)) / 2
    ground, every = height - bottom, 2 if len(bins) > 9 else 1
    parts = [f'<line class="base" x1="{left}" x2="{left + step * len(bins):.1f}" y1="{ground}" y2="{ground}"/>']
    for k, number in enumerate(bins):
        count, x = histogram.counts[number], left + k * step
        size = (ground - top) * count / most
        told = f"{histogram.label(number)} {unit}".strip()
        parts.append(
            f'<rect class="bar" x="{x + 1.5:.1f}" y="{ground - size:.1f}" width="{step - 3:.1f}" height="{size:.1f}" '
            f'rx="2"><title>{told}: {count:,}</title></rect>'
        )
        if count and len(bins) <= 12:
            parts.append(
                f'<text class="value" x="{x + step / 2:.1f}" y="{ground - size - 5:.1f}" text-anchor="middle">'
                f"{_short(count)}</text>"
            )
        if k % every == 0:
            label = histogram.label(number) if histogram.whole else f"{histogram.edges[number]:g}"
            at = x + step / 2 if histogram.whole else x
            parts.append(f'<text x="{at:.1f}" y="{ground + 16:.1f}" text-anchor="middle">{label}</text>')
    last = histogram.edges[bins[-1] + 1]
    if not histogram.whole and len(bins) % every == 0:
        end = "∞" if np.isinf(last) else f"{last:g}"
        x = left + step * len(bins)
        parts.append(f'<text x="{x:.1f}" y="{ground + 16:.1f}" text-anchor="middle">{end}</text>')
    fullest = int(np.argmax(histogram.counts))
    said = f"{title}: {most:,} of {sum(histogram.counts):,} are {histogram.label(fullest)} {unit}".strip()
    svg = f'<svg class="chart" viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{said}">{"".join(parts)}</svg>'
    return f'<figure class="plot"><figcaption>{title} <small>{unit}</small></figcaption>{svg}</figure>'


def _short(count: int) -> str:
    return f"{count:,}" if count < 10_000 else f"{count / 1000:.0f}k" if count < 1_000_000 else f"{count / 1e6:.1f}M"


def _often(frequent: Sequence[tuple[str, int]]) -> str:
    most = frequent[0][1]
    rows = "".join(
        f'<li><span title="{escape(word)}" dir="auto">{escape(word)}</span><b class="rail"><i class="fill" '
        f'style="width:{100 * count / most:.1f}%"></i></b><em>{count:,}</em></li>'
        for word, count in frequent
    )
    return f'<ul class="often">{rows}</ul>'
