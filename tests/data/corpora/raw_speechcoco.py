"""SPEECH-COCO as it is unpacked, small: written from its published description, not by the code that is tested."""

from __future__ import annotations

import io
import json
import sqlite3
import wave
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

RATE = 16000
SECONDS = 0.2
VOICES = {"Bruce": ("Male", "US"), "Judith": ("Female", "UK"), "Phil": ("Male", "US")}
TEXTS = ("A white sink.", "Um, two dogs", "the beach")


def sound(seed: int, seconds: float = SECONDS) -> bytes:
    """A WAV file of 16 bits, by hand."""
    samples = np.random.default_rng(seed).integers(-3000, 3000, round(seconds * RATE)).astype("<i2")
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setparams((1, 2, RATE, len(samples), "NONE", ""))
        file.writeframes(samples.tobytes())
    return buffer.getvalue()


def picture(seed: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 255, (8, 8, 3), dtype=np.uint8)).save(buffer, "JPEG")
    return buffer.getvalue()


def timecode(text: str) -> list[list[Any]]:
    """Marks as the synthesiser leaves them: a syllable and a separator open each word, phones follow.

    The words take 50 ms each, from 10.25 ms on.
    """
    events: list[list[Any]] = []
    time = 10.25
    for word in text.rstrip(".").replace(",", "").split():
        events += [[time, "SYL", ""], [time, "SEPR", " "], [time, "WORD", word]]
        events += [[time, "PHO", "a"], [time + 25, "PHO", "b"]]
        time += 50
    return [*events, [time, "SYL", ""], [time, "SEPR", " "]]


def entries(split: str) -> list[dict[str, Any]]:
    """Two pictures with three captions each, not in the order of the pictures."""
    base = 100 if split == "train" else 200
    made = []
    for caption in (5, 1, 4, 0, 3, 2):
        image, speaker = base + caption % 2, list(VOICES)[caption % 3]
        where = "Beginning" if caption % 3 == 1 else "None"
        speed = (0.9, 1.0, 1.1)[caption % 3]
        number = base * 10 + caption
        stem = f"{image}_{number}_{speaker}_{where}_{speed:.1f}".replace(".", "-")
        text = TEXTS[caption % 3]
        made.append(
            {
                "duration": SECONDS,
                "speaker": speaker,
                "synthesisedCaption": text,
                "timecode": timecode(text),
                "speed": speed,
                "wavFilename": f"{stem}.wav",
                "captionID": number,
                "imgID": image,
                "disfluency": [where, "um" if where != "None" else "None"],
            }
        )
    return made


def database(path: Path, listed: list[dict[str, Any]]) -> None:
    path.unlink(missing_ok=True)
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA synchronous = OFF")
        db.execute("CREATE TABLE speakers (name TEXT PRIMARY KEY, gender TEXT, nationality TEXT)")
        db.execute(
            "CREATE TABLE captions (captionID INTEGER PRIMARY KEY, imageID INTEGER, wavFilename TEXT, duration FLOAT, "
            "timecode TEXT, disfluencyPos TEXT, disfluencyVal TEXT, speed FLOAT, text TEXT, speaker TEXT)"
        )
        db.executemany("INSERT INTO speakers VALUES (?, ?, ?)", [(n, *about) for n, about in VOICES.items()])
        for e in listed:
            row = (e["captionID"], e["imgID"], e["wavFilename"], e["duration"], json.dumps(e["timecode"]))
            row += (*e["disfluency"], e["speed"], e["synthesisedCaption"], e["speaker"])
            db.execute("INSERT INTO captions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
    db.close()


def write_raw_speechcoco(folder: Path, lists: str = "both", images: str = "images") -> Path:
    """Writes both splits: ``lists`` are "database", "json" or "both"; ``images`` the folder of pictures ("" for none).

    train2014 has its database inside the folder, val2014 above it, as copies of the corpus do.
    """
    for split in ("train", "val"):
        here = folder / f"{split}2014"
        (here / "wav").mkdir(parents=True)
        listed = entries(split)
        for e in listed:
            (here / "wav" / e["wavFilename"]).write_bytes(sound(e["captionID"]))
            if images:
                shown = folder / images / f"{split}2014" / f"COCO_{split}2014_{e['imgID']:012d}.jpg"
                shown.parent.mkdir(parents=True, exist_ok=True)
                shown.write_bytes(picture(e["imgID"]))
            if lists != "database":
                (here / "json").mkdir(exist_ok=True)
                told = here / "json" / e["wavFilename"].replace(".wav", ".json")
                told.write_text(json.dumps(e))
        if lists != "json":
            database((here if split == "train" else folder) / f"{split}_2014.sqlite3", listed)
    return folder
