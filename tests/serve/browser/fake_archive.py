"""A made-up archive: bursts of noise, coloured pictures, texts, and names that carry script."""

from __future__ import annotations

import io
import wave

import numpy as np
from PIL import Image, ImageDraw

EVIL = '<img src=x onerror="window.pwned=1"><script>window.pwned=1</script>'
SPEAKERS = ["Ana", "Jon", "Petras Ąžuolas", EVIL]
RATE = 16_000
SECONDS = 12.0
TOTAL = 45
FIRST = {"audio": 0, "image": 100, "text": 200}
NAMES = {"audio": "tape-{:02d}.wav", "image": "picture-{:02d}.jpg", "text": "captions-{:02d}.txt"}


def samples(file: int) -> np.ndarray:
    """(S,) twelve seconds of bursts; another rhythm for each file."""
    t = np.arange(int(RATE * SECONDS)) / RATE
    loud = np.clip(np.sin(2 * np.pi * (0.35 + 0.07 * (file % 5)) * t + file), 0, 1) ** 2
    loud *= 0.6 + 0.4 * np.sin(2 * np.pi * 3.1 * t)
    return 0.28 * loud * np.random.default_rng(file).standard_normal(len(t))


def wav(given: np.ndarray) -> bytes:
    """(S,) as a WAV file."""
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((np.clip(given, -1, 1) * 32767).astype("<i2").tobytes())
    return out.getvalue()


def jpeg(file: int, size: int) -> bytes:
    """A picture of a shape and colours of its own, ``size`` pixels wide."""
    width, height = [(4, 3), (3, 4), (16, 9), (1, 1)][file % 4]
    paper = ((61 * file) % 200 + 40, (97 * file) % 160 + 60, (29 * file) % 180 + 50)
    image = Image.new("RGB", (size, size * height // width), paper)
    box = (size // 4, size // 5, size * 3 // 4, size * 3 // 5)
    ImageDraw.Draw(image).ellipse(box, fill=((17 * file) % 255, 200, (80 * file) % 255))
    out = io.BytesIO()
    image.save(out, "JPEG")
    return out.getvalue()


def hit(rank: int, modality: str) -> dict:
    """The hit of a rank; moments last 0.6 s and begin 0.2 s later each."""
    made = {
        "file": FIRST[modality] + rank,
        "name": EVIL if rank == 3 else NAMES[modality].format(rank),
        "folder": "/archive/1957/village",
        "modality": modality,
        "start": 0.0,
        "end": 0.0,
        "score": round(0.71 - 0.011 * rank, 4),
        "probability": round(0.97 - 0.02 * rank, 3),
        "text": None,
        "seconds": None,
        "details": {"speaker": SPEAKERS[rank % 4], "language": "lt"},
        "curve": None,
    }
    if modality == "text":
        made["text"] = EVIL if rank == 2 else f"a red boat on the lake with {rank} children"
    if modality == "audio":
        start = 3.0 + 0.2 * (rank % 10)
        times = 1.0 + 0.04 * np.arange(150)
        values = 0.1 + (0.6 - 0.011 * rank) * np.exp(-(((times - start - 0.3) / 0.35) ** 2))
        values += 0.04 * np.sin(9 * times + rank)
        curve = {"start": 1.0, "step": 0.04, "values": [round(float(v), 4) for v in values]}
        made |= {"start": start, "end": start + 0.6, "seconds": SECONDS, "curve": curve}
    return made


def about() -> dict:
    """What the service says of itself."""
    return {
        "title": "Village tapes",
        "version": "0",
        "calibrated": True,
        "counts": {"recordings": TOTAL, "pictures": TOTAL, "texts": TOTAL, "segments": 12_345, "hours": 31.2},
        "filters": {
            "speaker": [[s, 40 - i] for i, s in enumerate(SPEAKERS)] + [[f"Speaker {i}", 2] for i in range(12)],
            "language": [["lt", 90], ["az", 30]],
        },
        "folders": [["/archive/1957/village", 90], ["/archive/1961/town", 45]],
        "dates": ["1957-03-01", "1961-11-30"],
        "limits": {"upload_bytes": 200_000, "seconds": 60, "characters": 500, "page": 100},
        "endings": {"audio": [".wav", ".flac"], "image": [".jpg", ".png"]},
        "examples": [hit(rank, modality) for modality in ("text", "image", "audio") for rank in range(4)],
    }


def search(query: dict) -> dict:
    """Always the same hits of a kind; none for the word "nothing"."""
    modality = {"pictures": "image", "texts": "text"}.get(query["kind"], "audio")
    total = 0 if any(part.get("text") == "nothing" for part in query["all"]) else TOTAL
    end = query["offset"] + query["k"]
    hits = [hit(rank, modality) for rank in range(query["offset"], min(total, end))]
    return {"hits": hits, "more": end < total, "seconds": 0.031, "rows": 12_345}


def archive_map() -> dict:
    """400 points in seven heaps."""
    draw = np.random.default_rng(0)
    points = []
    for modality, n in (("audio", 240), ("image", 80), ("text", 80)):
        for i in range(n):
            of = hit(i % 40, modality)
            x, y = 2 * np.array([np.cos(i % 7), np.sin(1.7 * (i % 7))]) + 0.35 * draw.standard_normal(2)
            here = {key: of[key] for key in ("file", "name", "start", "end", "modality")}
            points.append(here | {"x": float(x), "y": float(y)})
    return {"points": points, "explained": [0.21, 0.13]}
