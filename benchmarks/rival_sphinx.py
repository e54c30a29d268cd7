"""What a user would pick for English: pocketsphinx 5 in keyword mode, with the models that come with it.

pip install --no-deps pocketsphinx     # BSD; 38 MB, English models included; nothing of LookHear needs it
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from lookhear.audio import stream_audio
from tape_scores import Found

__all__ = ["AS_IS", "LOW", "installed", "sphinx_hits", "unknown_words"]

AS_IS = 1e-20
"""The threshold of its own example; its documentation says to tune one for each word."""
LOW = 1e-50
FRAME = 0.01


def installed() -> bool:
    return find_spec("pocketsphinx") is not None


def unknown_words(words: Sequence[str]) -> list[str]:
    """Words that its dictionary does not have, and that it cannot find."""
    from pocketsphinx import Decoder

    decoder = Decoder(lm=None, loglevel="FATAL")
    return [w for w in words if any(decoder.lookup_word(part) is None for part in w.lower().split())]


def sphinx_hits(files: Sequence[Path], words: Sequence[str], threshold: float) -> list[Found]:
    """All detections at or above one threshold, scored by the logarithm of what it calls their probability."""
    from pocketsphinx import Decoder

    missing = set(unknown_words(words))
    with tempfile.TemporaryDirectory() as folder:
        listed = Path(folder) / "words"
        listed.write_text("".join(f"{w.lower()} /{threshold:g}/\n" for w in words if w not in missing))
        decoder = Decoder(lm=None, kws=str(listed), loglevel="FATAL")
    name = {w.lower(): w for w in words}
    found = list[Found]()
    for tape, file in enumerate(files):
        decoder.start_utt()
        for _, wave in stream_audio(file, 10.0, 0.0):
            pcm = (wave.clip(-1, 1) * 32767).astype("<i2")
            decoder.process_raw(np.ascontiguousarray(pcm).tobytes(), no_search=False, full_utt=False)
        decoder.end_utt()
        for s in decoder.seg() or ():
            span = s.start_frame * FRAME, (s.end_frame + 1) * FRAME
            found.append(Found(tape, name[s.word.strip()], *span, math.log(s.prob)))
    return found
