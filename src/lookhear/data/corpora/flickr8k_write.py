"""Any corpus with recordings written as Flickr8k Audio Captions, so that programs made for that can be run on it.

``flickr_audio/`` (``wavs/``, ``wav2capt.txt``, ``wav2spk.txt`` and, where there are word times, ``flickr_8k.ctm``),
``Flickr8k_text/`` (``Flickr8k.token.txt``, ``Flickr_8k.<split>Images.txt``) and ``Flicker8k_Dataset/``. Names are made
as ``flickr_names`` says; ``lookhear.jsonl`` keeps what they cannot. Speakers are numbers there: names that are none get
the numbers that are free, in their order. Pictures keep their bytes and are called ``.jpg`` whatever they are, which is
how programs look for them. Word times are written to the microsecond. Masks, things, image vectors and further columns
have no place in this layout and are not written.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from lookhear.data.corpora.flickr_lists import split_name
from lookhear.data.corpora.flickr_names import OWN, NamedRow, differences, name_rows, sound_as_wav
from lookhear.data.schema import Corpus
from lookhear.data.store import new_folder
from lookhear.errors import UserError

__all__ = ["file_split", "one_line", "write_picture", "write_raw"]

_AUDIO, _TEXT, _PICTURES = "flickr_audio", "Flickr8k_text", "Flicker8k_Dataset"


def write_raw(corpus: Corpus, out: Path) -> None:
    """See ``Layout``: writes a new folder, which appears only when it is whole.

    Raises:
        UserError: the folder is not empty, the corpus has no recordings, or something that the layout cannot say.
    """
    rows = name_rows(corpus)
    speakers = _speakers(n.values["speaker"] for n in rows)
    with new_folder(Path(out)) as folder:
        for name in (f"{_AUDIO}/wavs", _TEXT, _PICTURES):
            (folder / name).mkdir(parents=True)
        with (
            (folder / _AUDIO / "wav2capt.txt").open("w", encoding="utf-8") as captions,
            (folder / _AUDIO / "wav2spk.txt").open("w", encoding="utf-8") as spoken_by,
            (folder / _TEXT / "Flickr8k.token.txt").open("w", encoding="utf-8") as texts,
        ):
            own, times, splits = [], [], dict[str, dict[str, None]]()
            for row in rows:
                speaker = speakers.get(row.values["speaker"] or "")
                text = one_line(row.values["text"])
                if row.image:
                    write_picture(corpus, row, folder / _PICTURES)
                if row.audio:
                    wav = f"{row.picture}_{row.number}.wav"
                    sound = sound_as_wav(corpus.media("audio", row.row), str(row.values["id"]))
                    (folder / _AUDIO / "wavs" / wav).write_bytes(sound)
                    captions.write(f"{wav} {row.picture}.jpg #{row.number}\n")
                    spoken_by.write(f"{wav} {speaker}\n" if speaker else "")
                    times.append(_times(corpus, row))
                if text and row.number is not None:
                    texts.write(f"{row.picture}.jpg#{row.number}\t{text}\n")
                split = file_split(row.values["split"])
                if split is not None:
                    splits.setdefault(split, {})[row.picture] = None
                own.append(_own(row, speaker, text, split))
        for split, pictures in splits.items():
            listed = "".join(f"{name}.jpg\n" for name in pictures)
            (folder / _TEXT / f"Flickr_8k.{split}Images.txt").write_text(listed, encoding="utf-8")
        for path, lines in ((folder / _AUDIO / "flickr_8k.ctm", times), (folder / OWN, own)):
            if any(lines):
                path.write_text("".join(lines), encoding="utf-8")


def _speakers(names: Iterable[str | None]) -> dict[str, str]:
    """Name → number, as the programs of the field parse it."""
    known = sorted({n for n in names if n})
    numbers = {n: n for n in known if n.isascii() and n.isdigit()}
    used, free = {int(n) for n in numbers}, 1
    for name in known:
        if name not in numbers:
            while free in used:
                free += 1
            used.add(free)
            numbers[name] = str(free)
    return numbers


def _own(row: NamedRow, speaker: str | None, text: str, split: str | None) -> str:
    """The line of ``lookhear.jsonl`` for what reading would not give back."""
    read: dict[str, str | None] = {"group": row.picture, "split": None if split is None else split_name(split)}
    if row.number is None:
        # That the picture is an item beside its captions has to be told, so the line is written in any case.
        return differences(f"{row.picture}.jpg", {}, row.values)
    name = f"{row.picture}_{row.number}"
    said = {"id": name, "speaker": speaker if row.audio else None, "language": "en", "text": text or None}
    return differences(name, {**read, **said}, row.values)


def file_split(split: str | None) -> str | None:
    """A split as files are called: "dev" for "val", and only letters, digits and dashes."""
    if split is None:
        return None
    plain = "".join(c if c.isascii() and c.isalnum() else "-" for c in split)
    return "dev" if plain == "val" else plain or "-"


def one_line(text: str | None) -> str:
    """A text without line ends, tabs or double spaces."""
    return " ".join((text or "").split())


def write_picture(corpus: Corpus, row: NamedRow, folder: Path) -> None:
    """The picture's own bytes as ``<image>.jpg``."""
    source = corpus.media("image", row.row)
    (folder / f"{row.picture}.jpg").write_bytes(source if isinstance(source, bytes) else source.read_bytes())


def _times(corpus: Corpus, row: NamedRow) -> str:
    """The lines of the alignment.

    Raises:
        UserError: a word that a line of words cannot hold.
    """
    words: list[Mapping[str, Any]] = corpus.table["words"][row.row].as_py() or []
    lines = []
    for word in words:
        if "<" in word["word"] or len(word["word"].split()) != 1 or word["word"].strip() != word["word"]:
            raise UserError(
                f"item {row.values['id']!r}: the word {word['word']!r} cannot stand in an alignment of this layout",
                "Word times need words without spaces and '<'; mend them, and prepare the corpus again.",
            )
        start, length = round(word["start"], 6), round(word["end"] - round(word["start"], 6), 6)
        lines.append(f"{row.picture}.jpg_#{row.number} 1 {start:.6f} {max(length, 0):.6f} {word['word']}\n")
    return "".join(lines)
