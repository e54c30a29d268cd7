"""A small Flickr8k Audio Caption Corpus as it lies on disks, with its quirks; and when two corpora are alike."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
from PIL import Image

RATE = 16000
IMAGES = {
    "1000268201_693b08cb0e": "train",
    "1001773457_577c3a7d70": "train",
    "1002674143_1b742ab4b8": "dev",
    "1003163366_44323f5815": "test",
}
CAPTIONS = [
    ["A child in a pink dress is climbing up a set of stairs .", "A girl going into a wooden building ."],
    ["A black dog and a spotted dog are fighting", 'Two "big" dogs, on pavement'],
    ["A little girl covered in paint", "There is a girl with pigtails"],
    ["A man lays on a bench", "A man sleeping , a white dog beside him"],
]
MISSING_IN_CTM = "1001773457_577c3a7d70_1"
NO_PICTURE = "2258277193_586949ec62.jpg.1"
TAGS = ["dog", "girl", "man"]


def sound(seed: int, seconds: float = 0.2, rate: int = RATE, kind: str = "WAV") -> bytes:
    buffer = io.BytesIO()
    wave = np.random.default_rng(seed).normal(0, 0.1, round(seconds * rate))
    sf.write(buffer, wave, rate, format=kind, subtype="PCM_16")
    return buffer.getvalue()


def picture(seed: int, kind: str = "JPEG") -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 255, (8, 8, 3), dtype=np.uint8)).save(buffer, kind)
    return buffer.getvalue()


def write_flickr8k(root: Path, texts: str = "token", pictures: bool = True) -> Path:
    """Writes the corpus.

    Args:
        texts: where they are: "token", "karpathy" or "csv", or "ctm" for nowhere but in the alignments.
    """
    audio, text = root / "flickr_audio", root / "Flickr8k_text"
    for folder in (audio / "wavs", audio / "wavs_with_no_silence", text):
        folder.mkdir(parents=True)
    capt, spk, ctm = [], [], ["101_abc.jpg_#0 1 0.00 0.10 ELSEWHERE"]
    for i, image in enumerate(IMAGES):
        for k in range(2):
            name = f"{image}_{k}.wav"
            (audio / "wavs" / name).write_bytes(sound(10 * i + k))
            (audio / "wavs_with_no_silence" / name).write_bytes(sound(10 * i + k, 0.1))
            capt.append(f"{name} {image}.jpg #{k}")
            spk.append(f"{name} {i + 1}")
            if f"{image}_{k}" != MISSING_IN_CTM:
                ctm.append(f"{image}.jpg_#{k} 1 0.00 0.01 <SPOKEN_NOISE>")
                ctm += [f"{image}.jpg_#{k} 1 0.0{n} 0.01 {w}" for n, w in enumerate(["A", "Caption", f"W{i}"], 1)]
    capt.append("1000268201_693b08cb0e_0_txt.wav 1000268201_693b08cb0e.jpg #0")
    (audio / "wavs" / "1000268201_693b08cb0e_0.txt").write_text("stray")
    (audio / "wav2capt.txt").write_text("\n".join(capt) + "\n")
    (audio / "wav2spk.txt").write_text("\n".join(spk) + "\n")
    (audio / "flickr_8k.ctm").write_text("\n".join(ctm) + "\n")
    if texts != "karpathy":
        for split in ("train", "dev", "test"):
            lines = [f"{image}.jpg\n" for image, of in IMAGES.items() if of == split]
            (text / f"Flickr_8k.{split}Images.txt").write_text("".join(lines))
    _write_texts(root, text, texts)
    if pictures:
        (root / "Flicker8k_Dataset").mkdir()
        for i, image in enumerate(IMAGES):
            (root / "Flicker8k_Dataset" / f"{image}.jpg").write_bytes(picture(i))
    return root


def _write_texts(root: Path, text: Path, kind: str) -> None:
    told = list(zip(IMAGES, CAPTIONS))
    if kind == "token":
        lines = [f"{image}.jpg#{k}\t{c}\n" for image, captions in told for k, c in enumerate(captions)]
        (text / "Flickr8k.token.txt").write_text("".join(lines) + f"{NO_PICTURE}#0\tA picture that there is not\n")
        (text / "Flickr8k.lemma.token.txt").write_text("wrong.jpg#0\tbe not read\n")
    elif kind == "karpathy":
        images: list[dict[str, Any]] = []
        for image, captions in told:
            said = [{"raw": c, "tokens": c.split(), "sentid": 0} for c in captions]
            images.append({"filename": f"{image}.jpg", "split": IMAGES[image].replace("dev", "val"), "sentences": said})
        (root / "dataset.json").write_text(json.dumps({"images": images, "dataset": "flickr8k"}))
    elif kind == "csv":
        lines = ["image,caption\n"]
        for image, captions in told:
            quoted = ['"' + c.replace('"', '""') + '"' if '"' in c else c for c in captions]
            lines += [f"{image}.jpg,{c}\n" for c in quoted]  # one has a comma that is not quoted
        (root / "captions.txt").write_text("".join(lines))


def write_tags(root: Path) -> None:
    """Kamper's soft visual tags, and the semantic labels of one utterance."""
    lines = ["# Soft tags", "# of a network", "Tags: " + " ".join(TAGS)]
    lines += [f"{image}: 0.{i} 1.0 1e-3" for i, image in enumerate(IMAGES)]
    (root / "flickr8k.tags.all.txt").write_text("\n".join(lines) + "\n")
    name = "1003163366_44323f5815_1"
    head = "utt_key,transcription,keywords\n"
    (root / "semantic_flickraudio_labels.csv").write_text(f'{head}{name},"a man, sleeping",man|dogs\n')
    (root / "semantic_flickraudio_counts.csv").write_text(f'{head}{name},"a man, sleeping",man=5|dogs=3|bench=1\n')
    (root / "keywords.txt").write_text("dogs\nman\nbench\n")


def content(corpus: Any) -> dict[str, Any]:
    """What a round trip must keep, by id: texts and names, samples, and the picture of each group."""
    names = ("group", "split", "text", "speaker", "language")
    columns = {name: corpus.column(name) for name in names}
    told: dict[str, Any] = {}
    shown: dict[str, bytes] = {}
    for row, name in enumerate(corpus.column("id")):
        told[name] = {column: columns[column][row] for column in names}
        if corpus.table["audio"][row].is_valid:
            sound = corpus.media("audio", row)
            wave, rate = sf.read(io.BytesIO(sound) if isinstance(sound, bytes) else sound, dtype="int16")
            told[name]["audio"] = (rate, wave.tobytes())
        if corpus.table["image"][row].is_valid:
            image = corpus.media("image", row)
            shown.setdefault(columns["group"][row], image if isinstance(image, bytes) else image.read_bytes())
    return {"items": told, "pictures": shown}


def alike(one: Any, other: Any) -> None:
    """Fails where two corpora differ in what a round trip keeps; word times may differ by a microsecond."""
    assert content(one) == content(other)
    words = [dict(zip(c.column("id"), c.column("words"))) for c in (one, other)]
    for name, told in words[0].items():
        assert [w["word"] for w in told or ()] == [w["word"] for w in words[1][name] or ()], name
        for time in ("start", "end"):
            times = [w[time] for w in words[1][name] or ()]
            assert times == pytest.approx([w[time] for w in told or ()], abs=1.5e-6), name
