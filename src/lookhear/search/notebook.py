"""Answers in a notebook: what can be heard and seen, in place."""

from __future__ import annotations

import io
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from lookhear.audio import load_excerpt
from lookhear.data.embedded import audio_uri, data_uri
from lookhear.data.images import load_image
from lookhear.errors import UserError

if TYPE_CHECKING:
    from lookhear.search.answers import Answer

__all__ = ["as_html"]

SHOWN, AROUND, SIZE = 20, 1.0, 160
"""Answers with players, at most; seconds heard on either side of a moment; pixels of a picture."""


def as_html(answers: Sequence[Answer]) -> str:
    """A table that holds its own sounds and pictures; files that are gone say so."""
    rows = "".join(_row(a) for a in answers[:SHOWN])
    rest = f"<p>… and {len(answers) - SHOWN} more</p>" if len(answers) > SHOWN else ""
    head = "<tr><th>score</th><th>file</th><th>time</th><th></th></tr>"
    return f"<table>{head}{rows}</table>{rest}" if answers else "<p>nothing found</p>"


def _row(answer: Answer) -> str:
    worth = f"{answer.score:.2f}" if answer.probability is None else f"{100 * answer.probability:.0f} %"
    time = f"{answer.start:.2f}–{answer.end:.2f} s" if answer.modality == "audio" else ""
    try:
        shown = _shown(answer)
    except UserError as e:
        shown = escape(e.what)
    return f"<tr><td>{worth}</td><td>{escape(answer.file)}</td><td>{time}</td><td>{shown}</td></tr>"


def _shown(answer: Answer) -> str:
    if answer.modality == "text":
        return escape(answer.text)
    if answer.modality == "image":
        picture = load_image(answer.file)
        picture.thumbnail((SIZE, SIZE))
        data = io.BytesIO()
        picture.save(data, "JPEG", quality=85)
        return f'<img src="{data_uri("image/jpeg", data.getvalue())}" alt="{escape(answer.file)}">'
    wave = load_excerpt(answer.file, max(0.0, answer.start - AROUND), answer.end + AROUND)
    return f'<audio controls preload="none" src="{audio_uri(wave)}"></audio>'
