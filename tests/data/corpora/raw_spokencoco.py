"""SpokenCOCO as it is published, in small: written apart from the package's own writer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from raw_places import picture, sound

FORMS = ("plain", "karpathy", "unrolled", "aligned")


def utterance(image: int, sentence: int, speaker: str) -> dict[str, Any]:
    name = f"{speaker}-3YOH7BII097EC_{image}_{sentence}"
    return {
        "text": f"A man rides a horse number {sentence}.",
        "speaker": speaker,
        "uttid": name,
        "wav": f"wavs/{sentence % 2}/{name}.wav",
    }


def entries(split: str, pictures: int, first: int, captions: int = 3) -> list[dict[str, Any]]:
    """Pictures of a split with their captions; of Karpathy's test, they are of val2014, as they were published."""
    year = "train2014" if split == "train" else "val2014"
    return [
        {
            "image": f"{year}/COCO_{year}_{first + n:012d}.jpg",
            "captions": [
                utterance(first + n, 1000 * (first + n) + k, f"m1a5mox83rrx6{(n + k) % 3}") for k in range(captions)
            ],
        }
        for n in range(pictures)
    ]


def write(folder: Path, splits: dict[str, int], form: str = "plain", images: str = "mscoco_img") -> dict[str, Any]:
    """Writes lists of so many pictures in one form, and the files.

    Returns:
        split → its pictures with their captions, whatever the form.
    """
    told, first = {}, 9
    folder.mkdir(parents=True, exist_ok=True)
    for split, size in splits.items():
        shown = told[split] = entries(split, size, first)
        first += size
        for value in shown:
            path = folder / images / value["image"]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(picture(int(path.stem[-12:])))
            for caption in value["captions"]:
                wav = folder / caption["wav"]
                wav.parent.mkdir(parents=True, exist_ok=True)
                wav.write_bytes(sound(int(caption["uttid"].rsplit("_", 1)[1])))
                if form == "aligned":
                    caption["text_alignment"] = "0.0__A__0.05 0.05__man__0.12 horse"
        ending = {"plain": "", "karpathy": "_karpathy"}.get(form, "_unrolled_karpathy")
        data: list[Any] = shown
        if form in ("unrolled", "aligned"):
            data = [{"image": v["image"], "caption": c} for v in shown for c in v["captions"]]
        name = f"SpokenCOCO_{split}{ending}{'_with_alignments' if form == 'aligned' else ''}.json"
        (folder / name).write_text(json.dumps({"data": data}, indent=1 if form == "karpathy" else None))
    return told
