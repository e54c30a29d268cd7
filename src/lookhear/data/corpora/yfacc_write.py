"""Any corpus with recordings written as YFACC, so that programs made for that can be run on it.

``flickr_audio_yoruba_<split>/S001_<image>_<k>.wav`` at the rate it has,
``Flickr8k_text/Flickr8k.token.<split>_yoruba.txt``, ``Flickr8k_alignment/<image>_<k>.TextGrid`` where there are word
times (to the microsecond), ``Flicker8k_Dataset/`` with the pictures, whose bytes stay as they are, and the bilingual
keyword lists where the corpus has them. Names are made as ``flickr_names`` says; ``lookhear.jsonl`` keeps what they
cannot: speakers are called S001, S002, … in the order of their names, and items without a split are in one called
"none". Masks, things, image vectors and further columns have no place in this layout and are not written.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from lookhear.data.annotations import Annotation, Interval, Tier, write_annotation
from lookhear.data.corpora.flickr8k_write import file_split, one_line, write_picture
from lookhear.data.corpora.flickr_lists import split_name
from lookhear.data.corpora.flickr_names import OWN, NamedRow, differences, name_rows, sound_as_wav
from lookhear.data.schema import Corpus
from lookhear.data.store import new_folder
from lookhear.errors import UserError

__all__ = ["write_raw"]

_TEXT, _ALIGNMENT, _PICTURES = "Flickr8k_text", "Flickr8k_alignment", "Flicker8k_Dataset"
_LISTS = {"keywords.8_yoruba": " ", "eng_yoruba_keywords": ", "}
"""Name of a word list → what stands between its words."""


def write_raw(corpus: Corpus, out: Path) -> None:
    """See ``Layout``: writes a new folder, which appears only when it is whole.

    Raises:
        UserError: the folder is not empty, the corpus has no recordings, or something that the layout cannot say.
    """
    rows = name_rows(corpus)
    speakers = _speakers(n.values["speaker"] for n in rows)
    with new_folder(Path(out)) as folder:
        for name in (_TEXT, _ALIGNMENT, _PICTURES):
            (folder / name).mkdir()
        texts: dict[str, list[str]] = {}
        own = []
        for row in rows:
            split = file_split(row.values["split"]) or "none"
            speaker = speakers.get(row.values["speaker"] or "", "S001")
            text = one_line(row.values["text"])
            if row.image:
                write_picture(corpus, row, folder / _PICTURES)
            if row.audio:
                audio = folder / f"flickr_audio_yoruba_{split}"
                audio.mkdir(exist_ok=True)
                sound = sound_as_wav(corpus.media("audio", row.row), str(row.values["id"]))
                (audio / f"{speaker}_{row.picture}_{row.number}.wav").write_bytes(sound)
                _write_times(corpus, row, folder / _ALIGNMENT / f"{row.picture}_{row.number}.TextGrid")
            if text and row.number is not None:
                texts.setdefault(split, []).append(f"{row.picture}.jpg#{row.number} {text}\n")
            own.append(_own(row, speaker, text, split))
        for split, lines in texts.items():
            path = folder / _TEXT / f"Flickr8k.token.{split}_yoruba.txt"
            path.write_text("".join(lines), encoding="utf-8")
        _write_keywords(corpus.meta.get("words"), folder / _TEXT)
        if any(own):
            (folder / OWN).write_text("".join(own), encoding="utf-8")


def _speakers(names: Iterable[str | None]) -> dict[str, str]:
    """Name → S001, …; names of this form stay."""
    known = sorted({n for n in names if n})
    kept = {n: n for n in known if len(n) >= 4 and n[0] == "S" and n[1:].isascii() and n[1:].isdigit()}
    free = 1
    for name in known:
        if name not in kept:
            while f"S{free:03d}" in kept.values():
                free += 1
            kept[name] = f"S{free:03d}"
    return kept


def _own(row: NamedRow, speaker: str, text: str, split: str) -> str:
    """The line of ``lookhear.jsonl`` for what reading would not give back."""
    if row.number is None:
        return differences(f"{row.picture}.jpg", {}, row.values)
    name = f"{speaker if row.audio else 'S001'}_{row.picture}_{row.number}"
    read: dict[str, str | None] = {"id": name, "group": row.picture, "split": split_name(split), "language": "yo"}
    read |= {"speaker": speaker if row.audio else None, "text": text or None}
    line = differences(name, read, row.values)
    if not line and not (row.audio and text):
        # Reading would else note that half of the item is lacking.
        line = differences(name, {**read, "id": None}, row.values)
    return line


def _write_times(corpus: Corpus, row: NamedRow, path: Path) -> None:
    """The TextGrid of one recording.

    Raises:
        UserError: word times that a TextGrid cannot hold (words that overlap).
    """
    words: list[Mapping[str, Any]] = corpus.table["words"][row.row].as_py() or []
    if not words:
        return
    tier = Tier("words", tuple(Interval(w["word"], w["start"], w["end"]) for w in words))
    try:
        write_annotation(Annotation((tier,)), path)
    except UserError as e:
        told = f"item {row.values['id']!r}: {e.what.removeprefix(f'{path}: ')}"
        raise UserError(told, e.fix) from None


def _write_keywords(lists: Any, folder: Path) -> None:
    """Word lists of the corpus's own kind; others have no place here."""
    for name, between in _LISTS.items():
        words = lists.get(name) if isinstance(lists, Mapping) else None
        if isinstance(words, Mapping):
            lines = [f"{en}{between}{yo}\n" for en, told in words.items() for yo in told]
            (folder / f"{name}.txt").write_text("".join(lines), encoding="utf-8")
