"""The report's playable parts: scenes with found words, search results, best and worst retrievals."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookhear.audio import load_audio
from lookhear.core import RATE
from lookhear.data.embedded import audio_uri
from lookhear.data.picturebook.plan import plan
from lookhear.data.schema import Corpus
from lookhear.demo.charts import curve_path
from lookhear.demo.media import picture_uri, spectrogram_uri

__all__ = ["Shelf", "hero", "retrieved", "scene_card", "searches"]

SVG_WIDTH, SVG_HEIGHT = 1000.0, 160.0


class Shelf:
    """Recordings, captions and pictures of one split, by id.

    Args:
        book: the picture book, whole.
        split: whose recordings are shown.
        size: pixels of the pictures.
    """

    def __init__(self, book: Corpus, split: str, size: int = 224) -> None:
        self.meta, self.corpus, self.size = book.meta, book.select(split), size
        self.picture = lru_cache(maxsize=None)(self._picture)

    @cached_property
    def _row(self) -> dict[str, int]:
        return {name: row for row, name in enumerate(self.corpus.column("id"))}

    @cached_property
    def _columns(self) -> dict[str, list[Any]]:
        return {c: self.corpus.column(c) for c in ("text", "words", "group", "speaker")}

    @cached_property
    def _told(self) -> dict[str, Any]:
        return {t.id: t for t in plan(self.meta["settings"]["scenes"], self.meta["seed"])}

    def _picture(self, group: str, scale: float = 1.0) -> str:
        return picture_uri(self._told[group], round(scale * self.size))

    def wave(self, name: str) -> NDArray[np.float32]:
        return load_audio(self.corpus.media("audio", self._row[name]), name=name)

    def of(self, name: str, column: str) -> Any:
        return self._columns[column][self._row[name]]


def _image(uri: str, alt: str, style: str = "") -> str:
    return f'<img class="pic {style}" src="{uri}" alt="{escape(alt)}" loading="lazy">'


def _sound(wave: NDArray[np.float32]) -> str:
    return f'<audio controls preload="none" src="{audio_uri(wave)}"></audio>'


def _layer(word: Mapping[str, Any], seconds: float, number: int) -> str:
    """One word's score curve over the spectrogram, where it is said, and where it was found."""
    scale = SVG_WIDTH / seconds
    path = curve_path(word["curve"], SVG_WIDTH, SVG_HEIGHT)
    spans = "".join(
        f'<rect class="true" x="{a * scale:.1f}" y="0" width="{(b - a) * scale:.1f}" height="{SVG_HEIGHT:.0f}"/>'
        for a, b in word["spans"]
    )
    x = word["found"] * scale
    # The curve's last frame may end past the recording's last sample: the picture is cut there.
    return (
        f'<g data-word="{number}"{" class=on" if number == 0 else ""}>{spans}'
        f'<path class="area" d="{path} L{SVG_WIDTH:.0f} {SVG_HEIGHT:.0f} L0 {SVG_HEIGHT:.0f} Z"/>'
        f'<path class="curve" d="{path}"/>'
        f'<line class="found" x1="{x:.1f}" x2="{x:.1f}" y1="0" y2="{SVG_HEIGHT:.0f}"/></g>'
    )


def _verdict(name: str, word: Mapping[str, Any], number: int) -> str:
    said = " and ".join(f"{a:.2f}–{b:.2f}" for a, b in word["spans"])
    mark, style = ("✓", "good") if word["inside"] else ("✗", "bad")
    on = " on" if number == 0 else ""
    return (
        f'<p class="verdict {style}{on}" data-word="{number}"><b>{mark}</b> “{escape(name)}” found at '
        f"{word['found']:.2f} s, said at {said} s</p>"
    )


def _caption(text: str, words: Sequence[str]) -> str:
    """The caption with the asked words as buttons."""
    number = {w: i for i, w in enumerate(words)}
    parts = [
        f'<button type="button" data-word="{number[w]}"{" class=on" if number[w] == 0 else ""}>{escape(w)}</button>'
        if w in number
        else escape(w)
        for w in text.split()
    ]
    return f'<p class="said">{" ".join(parts)}</p>'


def scene_card(scene: Mapping[str, Any], shelf: Shelf) -> str:
    """A picture, its caption, the spectrogram with the score curve of each asked word, and the sound."""
    wave, words = shelf.wave(scene["id"]), scene["words"]
    layers = "".join(_layer(w, scene["seconds"], i) for i, w in enumerate(words.values()))
    verdicts = "".join(_verdict(name, w, i) for i, (name, w) in enumerate(words.items()))
    return (
        f'<article class="scene clip" data-seconds="{scene["seconds"]:.3f}">'
        f"{_image(shelf.picture(scene['group']), scene['text'])}<div>{_caption(scene['text'], list(words))}"
        f'<div class="spectro"><img src="{spectrogram_uri(wave)}" alt="spectrogram of “{escape(scene["text"])}”">'
        f'<svg viewBox="0 0 {SVG_WIDTH:.0f} {SVG_HEIGHT:.0f}" preserveAspectRatio="none" aria-hidden="true">'
        f'{layers}</svg><i class="head"></i></div>'
        f'<div class="below">{_sound(wave)}<div>{verdicts}<p class="voice">synthetic voice '
        f"{escape(scene['voice'])}, never heard in training</p></div></div></div></article>"
    )


def hero(scene: Mapping[str, Any], shelf: Shelf) -> str:
    """The first thing to see: a picture, and a word found in speech."""
    words = scene["words"]
    name = next((n for n, w in words.items() if w["inside"]), next(iter(words)))
    word, wave = words[name], shelf.wave(scene["id"])
    left = 100 * word["found"] / scene["seconds"]
    side = "right" if left > 60 else "left"
    layer = _layer(word, scene["seconds"], 0)
    return (
        f'<figure class="hero">{_image(shelf.picture(scene["group"], 1.7), scene["text"])}'
        f'<div class="spectro"><img src="{spectrogram_uri(wave)}" alt="">'
        f'<svg viewBox="0 0 {SVG_WIDTH:.0f} {SVG_HEIGHT:.0f}" preserveAspectRatio="none">{layer}</svg>'
        f'<b class="flag {side}" style="{side}:{left if side == "left" else 100 - left:.1f}%">{escape(name)}</b></div>'
        f"<figcaption>asked for the written word “{escape(name)}”</figcaption></figure>"
    )


def _track(start: float, end: float, seconds: float) -> str:
    left, width = 100 * start / seconds, 100 * (min(end, seconds) - start) / seconds
    mark = f'<i class="mark" style="left:{left:.1f}%;width:{max(width, 1.5):.1f}%"></i>'
    return f'<div class="track">{mark}<i class="head"></i></div>'


def _heard(words: Sequence[Mapping[str, Any]], start: float, end: float) -> str:
    """The spoken words, those of a stretch of time marked."""
    parts = []
    for w in words:
        inside = start <= (w["start"] + w["end"]) / 2 <= end or w["start"] <= (start + end) / 2 <= w["end"]
        parts.append(f"<mark>{escape(w['word'])}</mark>" if inside else escape(w["word"]))
    # Neighbours are one mark, not two with a gap.
    return re.sub("</mark> <mark>", " ", " ".join(parts))


def _hit(hit: Mapping[str, Any], shelf: Shelf) -> str:
    wave = shelf.wave(hit["id"])
    seconds = len(wave) / RATE
    text = _heard(shelf.of(hit["id"], "words"), hit["start"], hit["end"])
    return (
        f'<article class="hit clip" data-seconds="{seconds:.3f}">'
        f"{_image(shelf.picture(shelf.of(hit['id'], 'group')), shelf.of(hit['id'], 'text'))}"
        f'<div class="play">{_sound(wave)}{_track(hit["start"], hit["end"], seconds)}</div><p>{text}</p>'
        f"<small>{hit['score']:.2f}</small></article>"
    )


def searches(answers: Sequence[Mapping[str, Any]], shelf: Shelf) -> str:
    """Written queries and the recordings found for them."""
    synonyms = shelf.meta["words"]["synonym"]
    parts = []
    for answer in answers:
        query = answer["query"]
        if query in synonyms:
            tag = (
                f'<span class="tag never"><b>never spoken in training</b>which says “{escape(synonyms[query])}”</span>'
            )
        else:
            tag = f'<span class="tag">a {"word" if " " not in query else "phrase"} of the training speech</span>'
        hits = "".join(_hit(h, shelf) for h in answer["hits"])
        parts.append(f'<section class="query"><h3>“{escape(query)}” {tag}</h3><div class="hits">{hits}</div></section>')
    return "".join(parts)


def _case(case: Mapping[str, Any], shelf: Shelf, gallery: int) -> str:
    wave, seconds = shelf.wave(case["id"]), len(shelf.wave(case["id"])) / RATE
    pictures = "".join(
        f'<li class="{"right" if g == case["right"] else ""}">{_image(shelf.picture(g), f"picture ranked {i}")}'
        f"<small>{i}</small></li>"
        for i, g in enumerate(case["top"], 1)
    )
    if case["right"] not in case["top"]:
        pictures += (
            f'<li class="right apart">{_image(shelf.picture(case["right"]), "its own picture")}'
            f"<small>{case['rank']} of {gallery}</small></li>"
        )
    return (
        f'<article class="case clip" data-seconds="{seconds:.3f}"><p class="said">{escape(case["text"])}</p>'
        f'<div class="play">{_sound(wave)}<div class="track"><i class="head"></i></div></div>'
        f'<ol class="ranked">{pictures}</ol></article>'
    )


def retrieved(cases: Mapping[str, Sequence[Mapping[str, Any]]], shelf: Shelf, gallery: int) -> str:
    """The clearest and the worst of speech → picture."""
    titles = {"best": "Found most clearly", "worst": "Missed by most"}
    return '<div class="pair">' + "".join(
        f"<div><h3>{titles[k]}</h3>{''.join(_case(c, shelf, gallery) for c in cases[k])}</div>" for k in titles
    ) + "</div>"  # fmt: skip
