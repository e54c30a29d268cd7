"""``prepare_picturebook``: draws the scenes, speaks the captions and writes a corpus."""

from __future__ import annotations

import io
import random
import sys
import time
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import soundfile
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from lookhear.data.picturebook.plan import DEFAULT_SCENES, Said, Told, plan
from lookhear.data.picturebook.scene import draw_scene
from lookhear.data.picturebook.words import COLOUR_WORDS, SPOKEN, SYNONYMS, UNSEEN
from lookhear.data.schema import Corpus
from lookhear.data.speak import RATE, Synthesiser
from lookhear.data.store import MANIFEST, read_manifest, read_store, write_corpus
from lookhear.data.voices import TEST_VOICES, TRAIN_VOICES, speak_varied
from lookhear.data.workers import in_processes
from lookhear.errors import UserError, did_you_mean

__all__ = ["EXTRA", "prepare_picturebook"]

EXTRA = (
    pa.field("place", pa.string()),
    pa.field("voice_seen", pa.bool_()),  # of recordings: whether training has the voice
    pa.field("seconds", pa.float64()),  # of recordings: how long
)
VERSION = 1
"""Goes up when the same settings give other scenes, words or sounds, so that an older folder is not taken for it."""
CHUNK = 24
STRENGTH = 0.5
"""Of rooms and noise: speech-to-noise ratios of 20–30 dB, and rooms that decay in up to 0.3 s."""


def prepare_picturebook(
    out: Path,
    seed: int = 0,
    *,
    scenes: Mapping[str, int] | None = None,
    size: int = 64,
    workers: int = 2,
    progress: bool = True,
) -> Corpus:
    """The made-up corpus: scenes drawn, captioned and spoken by our own code, with word times and object masks.

    Pictures and texts are the same for the same seed, whatever the number of workers; waveforms differ by some samples
    from run to run (the synthesiser's own doing), so their times are stored with them.

    Args:
        out: a folder that does not exist yet, an empty one, or one that this very call made before: that is returned.
        scenes: split → scenes; the defaults are ``DEFAULT_SCENES``, splits that are not named are left out.
        size: pixels, 32–512.
        workers: processes; 0 works in this one.
        progress: a bar on stderr, and how many times faster than real time it went.

    Returns:
        The corpus: a row with ``image``, ``things`` and ``masks`` for each picture, and a row for each caption, with
        ``text`` and the ``things`` it names, and except in the teacher's split ``audio``, ``words``, ``speaker``. Rows
        of one scene share their ``group``. ``meta["words"]`` holds the three word lists.

    Raises:
        UserError: ``out`` holds something else, an unknown split, a size out of range, the 'speech' extra is missing,
            or the disk is full.
    """
    out = Path(out)
    wanted = dict(DEFAULT_SCENES if scenes is None else scenes)
    _check(wanted, size)
    settings = {"version": VERSION, "scenes": wanted, "size": size}
    meta: dict[str, Any] = {"name": "picturebook", "seed": seed, "settings": settings}
    if out.is_dir() and any(out.iterdir()):
        return _existing(out, meta)
    Synthesiser()  # before any work: is the extra there?
    meta["words"] = {"spoken": list(SPOKEN), "synonym": SYNONYMS, "unseen": list(UNSEEN), "colour": list(COLOUR_WORDS)}
    meta["voices"] = {"train": list(TRAIN_VOICES), "test": list(TEST_VOICES)}
    start = time.perf_counter()
    write_corpus(_rows(plan(wanted, seed), size, workers, progress, meta), out, meta, extra=EXTRA)
    took = time.perf_counter() - start
    if progress:
        heard, pictures = sum(meta["seconds of audio"].values()), sum(wanted.values())
        speed = f"{heard / took:.0f} × real time"
        print(f"picture book: {pictures} pictures, {heard:.0f} s of speech in {took:.1f} s, {speed}", file=sys.stderr)
    return read_store(out)


def _check(scenes: Mapping[str, int], size: int) -> None:
    for split, count in scenes.items():
        if split not in DEFAULT_SCENES:
            raise UserError(f"the picture book has no split {split!r}", did_you_mean(split, DEFAULT_SCENES))
        if count < 0:
            raise UserError(f"{count} scenes for {split!r}", "Give a number from 0 up.")
    if not any(scenes.values()):
        raise UserError("a picture book without scenes", "Ask for at least one scene.")
    if not 32 <= size <= 512:
        raise UserError(f"pictures of {size} pixels", "Choose a size from 32 to 512.")


def _existing(out: Path, meta: Mapping[str, Any]) -> Corpus:
    """The corpus in ``out`` if it is what would be written now."""
    if not (out / MANIFEST).is_file():
        raise UserError(f"{out} is not empty and holds no picture book", "Name another folder.")
    old = read_manifest(out)
    for key, value in meta.items():
        if old.get(key) != value:
            raise UserError(
                f"{out} holds a corpus with {key} {old.get(key)!r}, not {value!r}", "Name another folder, or delete it."
            )
    return read_store(out)


def _rows(told: list[Told], size: int, workers: int, progress: bool, meta: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """All rows in order; fills in the counts of ``meta`` when the last is out."""
    counts: dict[str, Counter[str]] = {}
    chunks = [told[i : i + CHUNK] for i in range(0, len(told), CHUNK)]
    # Pictures and recordings, not scenes: written scenes take a sixth of the time of spoken ones.
    pieces = [sum(1 + sum(s.voice is not None for s in t.said) for t in chunk) for chunk in chunks]
    with tqdm(total=sum(pieces), desc="picture book", unit="pieces", disable=None if progress else True) as bar:
        for piece, rows in zip(pieces, in_processes(partial(_make, size=size), chunks, workers)):
            for row in rows:
                count = counts.setdefault(row["split"], Counter())
                count["pictures"] += "image" in row
                count["texts"] += "text" in row
                count["recordings"] += "audio" in row
                count["seconds"] += row.get("seconds", 0)
                yield row
            bar.update(piece)
    meta["counts"] = {s: {k: c[k] for k in ("pictures", "texts", "recordings")} for s, c in counts.items()}
    meta["seconds of audio"] = {s: round(c["seconds"], 2) for s, c in counts.items()}


def _make(told: list[Told], size: int) -> list[dict[str, Any]]:
    """The rows of some scenes: first the picture, then its captions."""
    rows: list[dict[str, Any]] = []
    for t in told:
        common = {"group": t.id, "split": t.split, "place": t.scene.place}
        picture, masks = draw_scene(t.scene, random.Random(t.seed), size)
        things = [p.thing for p in t.scene.things]
        rows.append(
            {
                **common,
                "id": t.id,
                "image": {"path": None, "bytes": _png(picture)},
                "things": things,
                "masks": [{"thing": n, "png": _png(m)} for n, m in zip(things, masks)],
            }
        )
        rng = np.random.default_rng(zlib.crc32(t.seed.encode()))
        rows += [{**common, "id": f"{t.id}-{k}", **_caption(s, rng)} for k, s in enumerate(t.said)]
    return rows


def _caption(said: Said, rng: np.random.Generator) -> dict[str, Any]:
    row: dict[str, Any] = {"text": said.text, "language": "en", "things": list(said.things)}
    if said.voice is None:
        return row
    wave, words = speak_varied(said.text, said.voice, rng, STRENGTH)
    return {
        **row,
        "audio": {"path": None, "bytes": _flac(wave)},
        "words": [{"word": w, "start": s, "end": e} for w, s, e in words],
        "speaker": said.voice,
        "voice_seen": said.voice in TRAIN_VOICES,
        "seconds": len(wave) / RATE,
    }


def _png(picture: Image.Image) -> bytes:
    out = io.BytesIO()
    picture.save(out, "PNG", compress_level=3)
    return out.getvalue()


def _flac(wave: NDArray[np.float32]) -> bytes:
    out = io.BytesIO()
    soundfile.write(out, wave, RATE, format="FLAC", subtype="PCM_16")
    return out.getvalue()
