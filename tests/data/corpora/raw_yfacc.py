"""A small YFACC as it lies on people's disks, in both layouts and with its quirks."""

from __future__ import annotations

from pathlib import Path

from raw_flickr8k import picture, sound

IMAGES = {
    "1000268201_693b08cb0e": "train",
    "1001773457_577c3a7d70": "train",
    "1002674143_1b742ab4b8": "train",
    "1003163366_44323f5815": "dev",
    "1007129816_e794419615": "test",
    "3187395715_f2940c2b72": "test",
}
TEXTS = [
    "Ọmọbìnrin kékeré kan ń gun àkàbà",
    "Ajá dúdú kan àti ajá alámì ń jà",
    "Ọmọdébìnrin kan wà nínú kíkùn",
    "Ọkùnrin kan dùbúlẹ̀ lórí bẹ́ǹṣì",
    "Ọkùnrin kan nínú fìlà ọsàn",
    "Obìnrin kan ń rìn",
]
KEYS = {  # what stands in the token files, where it is not '<image>.jpg#0'
    "1001773457_577c3a7d70": "1001773457_577c3a7d70.jpg#",
    "1002674143_1b742ab4b8": "1002674143_1b742ab4b8.jpg#0Ọmọdébìnrin",  # its first word is glued to it
}
BROKEN_GRID = "3187395715_f2940c2b72"
WORDS = {"1003163366_44323f5815": [("Ọkùnrin", 0.01, 0.0525), ("kan", 0.06, 0.1)]}


def text_grid(words: list[tuple[str, float, float]], end: float = 0.2) -> str:
    """Two tiers, the words first, in Praat's long form; silence between the words."""
    intervals, at = [], 0.0
    for word, start, stop in words:
        intervals += [("", at, start)] if start > at else []
        intervals.append((word, start, stop))
        at = stop
    intervals.append(("", at, end))
    told = [f"xmin = 0\nxmax = {end}\ntiers? <exists>\nsize = 2\nitem []:"]
    for number, (name, tier) in enumerate([("words", intervals), ("phones", [("p", 0.0, end)])], 1):
        told.append(f'item [{number}]:\nclass = "IntervalTier"\nname = "{name}"\nxmin = 0\nxmax = {end}')
        told.append(f"intervals: size = {len(tier)}")
        for place, (label, start, stop) in enumerate(tier, 1):
            told.append(f'intervals [{place}]:\nxmin = {start}\nxmax = {stop}\ntext = "{label}"')
    return 'File type = "ooTextFile"\nObject class = "TextGrid"\n\n' + "\n".join(told) + "\n"


def write_yfacc(root: Path, layout: str = "v6", pictures: bool = True) -> Path:
    """Writes the corpus; ``layout`` is "v6", or "strim" for the other one."""
    base = root if layout == "v6" else root / "yfacc"
    text = base / ("Flickr8k_text" if layout == "v6" else "text")
    text.mkdir(parents=True)
    lines: dict[str, list[str]] = {"train": [], "dev": [], "test": []}
    for i, ((image, split), said) in enumerate(zip(IMAGES.items(), TEXTS)):
        folder = base / f"flickr_audio_yoruba_{split}" if layout == "v6" else base / "audio" / split
        (folder / "16k").mkdir(parents=True, exist_ok=True)
        (folder / f"S001_{image}_0.wav").write_bytes(sound(i, rate=48000))
        (folder / "16k" / f"S001_{image}_0.wav").write_bytes(sound(i, rate=16000))
        key = KEYS.get(image, f"{image}.jpg#0")
        rest = said.split(" ", 1)[1] if key.endswith("Ọmọdébìnrin") else said
        lines[split].append(f"{key} {rest}\n" if split == "train" else f"{key}\t{rest}\n")
    lines["test"].append("1007320043_627395c3d8.jpg#0\tẸnìkan tí kò sí\n")  # nobody has read this one
    for split, told in lines.items():
        (text / f"Flickr8k.token.{split}_yoruba.txt").write_text("".join(told), encoding="utf-8")
    (text / "keywords.8_yoruba.txt").write_text("dog ajá\nwhite aṣọ funfun\n", encoding="utf-8")
    (text / "eng_yoruba_keywords.txt").write_text("dog, ajá\nball, bọ́ọ̀lù\nball, rogodo\n", encoding="utf-8")
    (base / "Flickr8k_alignment").mkdir()
    for image, words in WORDS.items():
        (base / "Flickr8k_alignment" / f"{image}_0.TextGrid").write_text(text_grid(words), encoding="utf-8")
    broken = text_grid([("Obìnrin", 0.0, 0.1)])[:200]
    (base / "Flickr8k_alignment" / f"{BROKEN_GRID}_0.TextGrid").write_text(broken, encoding="utf-8")
    if pictures:
        folder = root / ("Flicker8k_Dataset" if layout == "v6" else "flickr8k/image/Flicker8k_Dataset")
        folder.mkdir(parents=True)
        for i, image in enumerate(IMAGES):
            (folder / f"{image}.jpg").write_bytes(picture(i))
        (folder / "not_in_yfacc.jpg").write_bytes(picture(99))
    return root
