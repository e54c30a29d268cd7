"""Places Audio Captions as they are published, in small: written apart from the package's own writer."""

from __future__ import annotations

import io
import json
import wave
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from lookhear.data.prepare import prepare
from lookhear.data.schema import Corpus

IMAGES = "/data/vision/torralba/deeplearning/images256"
AUDIO = "/data/sls/scratch/dharwath/PlacesAudio_400k_distro"
SEEN = ("dev_seen", "dev_unseen", "test_seen", "test_unseen")


def sound(seed: int) -> bytes:
    """A WAV file of 0.2 s."""
    samples = np.random.default_rng(seed).normal(0, 3000, 3200).astype("<i2")
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes(samples.tobytes())
    return buffer.getvalue()


def picture(seed: int) -> bytes:
    """A PNG or JPEG file of 8 px, named as pictures of Places are: what it is shows in its bytes alone."""
    pixels = np.random.default_rng(seed).integers(0, 255, (8, 8, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG" if seed % 2 else "PNG")
    return buffer.getvalue()


def make(usual: str, source: Path, out: Path, **how: Any) -> Corpus:
    """Prepares a corpus in the usual layout, or in another one that ``how`` names."""
    return prepare(source, out, **{"layout": usual, "workers": 0, "progress": False, **how})


def problems(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "problems.jsonl").read_text().splitlines()]


def entry(n: int, image: int) -> dict[str, Any]:
    return {
        "uttid": f"A1CZ0SLA4DXHP9-GSUN_{n:04d}",
        "speaker": n % 3 if n == 2 else f"A1CZ0SLA4DXH{n % 3}",
        "asr_text": f"a picture of an old abbey number {n} café",
        "wav": f"wavs/{n % 2}/utterance_{n}.wav",
        "image": f"a/abbey/gsun_{image:04d}.jpg",
    }


def write(folder: Path, splits: dict[str, int], year: str = "", images: str = "images256", first: int = 0) -> list[Any]:
    """Writes lists of so many captions: each third one is of the picture before the last, not next to its fellow.

    Quirks: prefixes of another machine; a speaker that is a number; tokens of alignments without three parts; a caption
    without text; pictures called .jpg that are PNG.

    Returns:
        the entries, in the order of the splits, each with its split.
    """
    told, n = [], first
    (folder / "metadata").mkdir(parents=True, exist_ok=True)
    for split, size in splits.items():
        data = []
        for k in range(size):
            shown = entry(n, n - 2 if k % 3 == 2 else n)
            if n % 4 == 1:
                shown["text_alignment"] = "0.01__a__0.05 <eps> 0.05__picture__0.125 0.13__of"
            if n % 5 == 3:
                del shown["asr_text"]
            for path, data_ in (
                (folder / shown["wav"], sound(n)),
                (folder.parent / images / shown["image"], picture(int(shown["image"][-8:-4]))),
            ):
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data_)
            data.append(shown)
            told.append((split, shown))
            n += 1
        value = {"image_base_path": IMAGES, "audio_base_path": AUDIO, "data": data}
        (folder / "metadata" / f"{split}{year}.json").write_text(json.dumps(value, ensure_ascii=False), "utf-8")
    return told
