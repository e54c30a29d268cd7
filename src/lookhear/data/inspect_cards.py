"""The parts of ``inspect``'s page that hold pictures and sounds: the contact sheet, and recordings to play."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import soundfile as sf
from numpy.typing import NDArray

from lookhear.audio import load_audio, samples_of, stream_audio
from lookhear.core import RATE
from lookhear.data.embedded import data_uri
from lookhear.data.images import load_image
from lookhear.data.schema import Corpus
from lookhear.data.tally import Ints
from lookhear.errors import UserError

__all__ = ["PLAYED", "draw_pictures", "players", "sheet"]

PLAYED = 20.0
"""Seconds of a recording that the page holds at most; it says where one is longer."""
THUMB = 320
"""Pixels of the longer side of a thumbnail: twice what is seen, for fine screens."""
SMALL = 176
CAPTIONS = 5
"""How many captions are shown under a picture; the others are counted."""
_TINY = 64  # pixels: smaller pictures stay PNG, and are scaled up in squares
_BARS = 150  # of a waveform
_SOUNDS = {b"OggS": "audio/ogg", b"fLaC": "audio/flac", b"RIFF": "audio/wav", b"ID3": "audio/mpeg"}
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*")


def draw_pictures(corpus: Corpus, numbers: Ints, count: int, rng: np.random.Generator) -> Ints:
    """Rows with different pictures, in order: one of each group drawn, then a second one where that was too few, …

    Args:
        numbers: of ``picture_numbers``.
    """
    rows = np.flatnonzero(corpus.table["image"].is_valid().to_numpy())
    rows = rng.permutation(rows[np.unique(numbers[rows], return_index=True)[1]])
    groups = corpus.groups[rows]
    order = np.argsort(groups, kind="stable")
    _, starts, sizes = np.unique(groups[order], return_index=True, return_counts=True)
    turn = np.empty(len(rows), dtype=np.int64)
    turn[order] = np.arange(len(rows)) - np.repeat(starts, sizes)
    chosen: Ints = np.sort(rows[np.argsort(turn, kind="stable")[:count]])
    return chosen


def sheet(corpus: Corpus, numbers: Ints, rows: Ints) -> str:
    """The pictures of some rows with their captions beneath; ``numbers`` of ``picture_numbers``."""
    return f'<div class="sheet">{"".join(_shot(corpus, numbers, int(row)) for row in rows)}</div>'


def players(corpus: Corpus, numbers: Ints, rows: Ints) -> str:
    """The recordings of some rows to play, with what is said in them."""
    return f'<div class="players">{"".join(_player(corpus, numbers, int(row)) for row in rows)}</div>'


def _cell(corpus: Corpus, column: str, row: int) -> Any:
    return corpus.table[column][row].as_py()


def _language(language: str | None) -> str:
    """As an attribute, for browsers to choose glyphs and voices by."""
    return f' lang="{language}"' if language and _LANGUAGE.fullmatch(language) else ""


def _spoken(text: str, language: str | None, style: str = "") -> str:
    kind = f' class="{style}"' if style else ""
    return f'<p{kind} dir="auto"{_language(language)}>{escape(text)}</p>'


def _from(*facts: str | None) -> str:
    return f'<span class="from">{" · ".join(escape(f) for f in facts if f)}</span>'


def _unread(error: UserError) -> str:
    return f'<p class="unplayed">{escape(error.what)}</p>'


def _image(corpus: Corpus, row: int, alt: str, size: int, style: str = "") -> tuple[str, str]:
    """A thumbnail as HTML, and the pixels of the picture in words.

    Raises:
        UserError: it cannot be read.
    """
    image = load_image(corpus.media("image", row), name=str(_cell(corpus, "id", row)))
    pixels, buffer = f"{image.width}\u00a0×\u00a0{image.height}", io.BytesIO()
    if max(image.size) <= _TINY:
        kind, style = "image/png", f"{style} tiny".strip()
        image.save(buffer, "PNG")
    else:
        kind = "image/jpeg"
        image.thumbnail((size, size))
        image.save(buffer, "JPEG", quality=82, optimize=True)
    html = (
        f'<img class="{style}" src="{data_uri(kind, buffer.getvalue())}" width="{image.width}" height="{image.height}" '
        f'alt="{escape(alt)}" loading="lazy">'
    )
    return html, pixels


def _shot(corpus: Corpus, numbers: Ints, row: int) -> str:
    """One picture of the sheet. Captions that several recordings read out are shown once."""
    said = corpus.texts[numbers[corpus.texts] == numbers[row]]
    captions = list({_cell(corpus, "text", int(r)): _cell(corpus, "language", int(r)) for r in said}.items())
    name = corpus.table["image"][row]["path"].as_py() or str(_cell(corpus, "id", row))
    things = _cell(corpus, "things", row)
    if captions:
        alt = captions[0][0]
    else:
        alt = f"a picture of {', '.join(things)}" if things else f"{name}, a picture without a caption"
    try:
        image, pixels = _image(corpus, row, alt, THUMB)
    except UserError as e:
        image, pixels = _unread(e), ""
    told = "".join(_spoken(text, language) for text, language in captions[:CAPTIONS])
    if len(captions) > CAPTIONS:
        told += f"<p>and {len(captions) - CAPTIONS:,} more</p>"
    told += _from(Path(name).name, _cell(corpus, "split", row), pixels)
    return f'<figure class="shot">{image}<figcaption>{told}</figcaption></figure>'


def _sound(corpus: Corpus, row: int) -> tuple[str, NDArray[np.float32], float]:
    """A recording's beginning as data-URI and as (S,) samples at 16 kHz, and the seconds of the whole.

    Mono FLAC of 16 kHz, or the file as it is where that is no larger.

    Raises:
        UserError: it cannot be read.
    """
    source, name = corpus.media("audio", row), str(_cell(corpus, "id", row))
    seconds = samples_of(source, name) / RATE
    if isinstance(source, Path) and seconds > PLAYED:  # may be hours: only the beginning is decoded
        _, wave = next(stream_audio(source, PLAYED, 0.0))
    else:
        wave = load_audio(source, name)[: round(PLAYED * RATE)]
    buffer = io.BytesIO()
    sf.write(buffer, wave, RATE, format="FLAC", subtype="PCM_16")
    data = buffer.getvalue()
    if seconds <= PLAYED and (len(source) if isinstance(source, bytes) else source.stat().st_size) <= len(data):
        file = source if isinstance(source, bytes) else source.read_bytes()
        for start, kind in _SOUNDS.items():
            if file.startswith(start):
                return data_uri(kind, file), wave, seconds
    return data_uri("audio/flac", data), wave, seconds


def _waveform(wave: NDArray[np.float32], words: Sequence[dict[str, Any]]) -> str:
    """Loudness over time; behind it, lighter, where words are."""
    peaks = np.array([np.abs(p).max(initial=0) for p in np.array_split(wave, _BARS)])
    sizes = 44 * peaks / max(float(peaks.max()), 1e-9)
    path = "".join(f"M{10 * k + 5} {50 - s:.0f}V{50 + max(s, 1):.0f}" for k, s in enumerate(sizes))
    scale = 10 * _BARS * RATE / len(wave)
    marks = "".join(
        f'<rect {_times(w)} x="{w["start"] * scale:.1f}" y="0" height="100" '
        f'width="{max(1.0, (w["end"] - w["start"]) * scale - 2):.1f}"/>'
        for w in words
    )
    return (
        f'<svg viewBox="0 0 {10 * _BARS} 100" preserveAspectRatio="none" aria-hidden="true">{marks}'
        f'<path class="loud" d="{path}"/></svg>'
    )


def _times(word: dict[str, Any]) -> str:
    return f'data-start="{word["start"]:.3f}" data-end="{word["end"]:.3f}"'


def _said(text: str | None, words: Sequence[dict[str, Any]], language: str | None) -> str:
    """The words to click where there are times; the text beneath if it is another one."""
    if not words:
        return _spoken(text or "(no text)", language, "said")
    buttons = " ".join(
        f'<button type="button" tabindex="-1" {_times(w)} title="{w["start"]:.2f}–{w["end"]:.2f} s">'
        f"{escape(w['word'])}</button>"
        for w in words
    )
    told = f'<p class="said" dir="auto"{_language(language)}>{buttons}</p>'
    spoken = " ".join(w["word"] for w in words)
    if text and re.findall(r"\w+", text.lower()) != re.findall(r"\w+", spoken.lower()):
        told += _spoken(text, language, "written")
    return told


def _player(corpus: Corpus, numbers: Ints, row: int) -> str:
    text, language, speaker, split = (_cell(corpus, c, row) for c in ("text", "language", "speaker", "split"))
    # A corpus that was not prepared by LookHear may hold words without times.
    words = [w for w in _cell(corpus, "words", row) or () if None not in w.values() and w["start"] < PLAYED]
    top = f'<div class="top">{_thumb(corpus, numbers, row)}<div>{_said(text, words, language)}</div></div>'
    facts = [f"speaker {speaker}" if speaker else None, split, language, str(_cell(corpus, "id", row))]
    try:
        uri, wave, seconds = _sound(corpus, row)
    except UserError as e:
        return f'<article class="player">{top}{_unread(e)}{_from(*facts)}</article>'
    held = len(wave) / RATE
    length = f"{seconds:.2f} s" if seconds <= PLAYED else f"the first {held:.0f} of {seconds:,.0f} s"
    return (
        f'<article class="player clip" data-seconds="{held:.3f}">{top}<div class="play">'
        f'<audio controls preload="none" src="{uri}"></audio><div class="track wave">{_waveform(wave, words)}'
        f'<i class="head"></i></div></div>{_from(length, *facts)}</article>'
    )


def _thumb(corpus: Corpus, numbers: Ints, row: int) -> str:
    """The picture that a recording is about, where there is one."""
    rows = np.flatnonzero((numbers == numbers[row]) & corpus.table["image"].is_valid().to_numpy())
    if numbers[row] < 0 or not len(rows):
        return ""
    try:
        return _image(corpus, int(rows[0]), "the picture that is spoken of", SMALL, "pic")[0]
    except UserError as e:
        return _unread(e)
