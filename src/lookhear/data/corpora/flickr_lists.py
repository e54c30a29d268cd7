"""The lists of the Flickr8k corpora, read line by line: utterances, speakers, splits, texts, word times, labels.

A line that cannot be read is a problem of its own and the rest is read on. Pictures are known by their names without
``.jpg``, which are what all the lists have in common.
"""

from __future__ import annotations

import csv
import json
import math
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lookhear.data.items import Problem, Problems, Word
from lookhear.errors import UserError

__all__ = [
    "Captions",
    "Utterance",
    "captions_csv",
    "captions_karpathy",
    "captions_token",
    "index_tags",
    "left_over",
    "lines_of",
    "list_wavs",
    "load_karpathy",
    "read_ctm",
    "read_labels",
    "read_speakers",
    "read_splits",
    "read_tags",
    "read_utterances",
    "split_name",
    "split_of_karpathy",
    "stem_of",
    "tag_words",
    "words_of",
]

Captions = dict[str, dict[int, str]]
"""Picture → number of the caption → text."""

_SUFFIX = re.compile(r"\.(jpe?g|png)$", re.IGNORECASE)
_WAV = re.compile(r"(?P<image>.+)_(?P<number>\d{1,9})\.wav", re.IGNORECASE)
_KEY = re.compile(r"(?P<image>.+?)_?#(?P<number>\d{1,9})")
_SPLIT = re.compile(r"Flickr_8k\.(?P<split>.+?)Images\.txt")
_SPLITS = {"dev": "val", "valid": "val", "validation": "val"}
_MEND = "Mend the line."


@dataclass(frozen=True, slots=True)
class Utterance:
    """A recording: ``<wav> <image>.jpg #<number>``."""

    wav: str
    image: str
    number: int
    line: int | None

    @property
    def name(self) -> str:
        """Of the utterance: that of its file without ``.wav``."""
        return self.wav[:-4]


def stem_of(image: str) -> str:
    """A picture's name without its suffix."""
    return _SUFFIX.sub("", image)


def split_name(name: str) -> str:
    """A split as LookHear calls it."""
    return _SPLITS.get(name, name)


def lines_of(path: Path, problems: Problems) -> Iterator[tuple[int, str]]:
    """The lines that are not empty, with their numbers from 1."""
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                yield number, line.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
            except UnicodeDecodeError as e:
                problems.add(Problem(str(path), number, f"not UTF-8 text ({e.reason})", "Save the file as UTF-8."))


def read_utterances(path: Path, problems: Problems) -> Iterator[Utterance]:
    """``wav2capt.txt``: ``<image>_<k>.wav <image>.jpg #<k>``."""
    for number, line in lines_of(path, problems):
        fields = line.split()
        if len(fields) != 3 or not re.fullmatch(r"#[0-9]{1,9}", fields[2]):
            problems.add(Problem(str(path), number, "not '<recording>.wav <image>.jpg #<number>'", _MEND))
        elif fault := _stray(fields[0]):
            problems.add(Problem(str(path), number, fault, "Take the line out of the list."))
        else:
            yield Utterance(fields[0], stem_of(fields[1]), int(fields[2][1:]), number)


def list_wavs(folder: Path, listed: Collection[str] | None, problems: Problems) -> Iterator[Utterance]:
    """The recordings ``<image>_<k>.wav`` of a folder that no list names.

    Args:
        listed: the names that ``wav2capt.txt`` has; what is not among them is a problem. None where there is no list:
            then the names of the files say what they are recordings of.
    """
    for name in sorted(p.name for p in folder.iterdir() if not p.name.startswith(".")):
        if listed is not None and name in listed:
            continue
        told = _WAV.fullmatch(name)
        if fault := _stray(name):
            problems.add(Problem(str(folder / name), None, fault, "Take the file out of the folder."))
        elif listed is not None:
            problems.add(Problem(str(folder / name), None, "not in wav2capt.txt", "List it, or delete the file."))
        elif told is None:
            problems.add(Problem(str(folder / name), None, "not called '<image>_<number>.wav'", "Rename the file."))
        else:
            yield Utterance(name, told["image"], int(told["number"]), None)


def _stray(name: str) -> str:
    """What is wrong with the name of a recording; copies of the corpus have texts among their recordings."""
    if "txt" in name.rsplit("_", 1)[-1]:
        return f"{name!r} is a stray name: no recording"
    return "" if name.lower().endswith(".wav") else f"{name!r} is not called .wav"


def read_speakers(path: Path, problems: Problems) -> dict[str, str]:
    """``wav2spk.txt``: ``<recording>.wav <speaker>``."""
    speakers: dict[str, str] = {}
    for number, line in lines_of(path, problems):
        fields = line.split()
        if len(fields) != 2:
            problems.add(Problem(str(path), number, "not '<recording>.wav <speaker>'", _MEND))
        elif speakers.setdefault(fields[0], fields[1]) != fields[1]:
            told = f"{fields[0]} has speaker {speakers[fields[0]]} already, and {fields[1]} here"
            problems.add(Problem(str(path), number, told, _MEND))
    return speakers


def read_splits(paths: Sequence[Path], problems: Problems) -> dict[str, str]:
    """``Flickr_8k.<split>Images.txt``, a picture a line. One in several lists stays in the one that is read first:
    test, then dev, so that nothing that is tested on is trained on."""
    splits: dict[str, str] = {}
    order = {"test": 0, "val": 1, "train": 3}
    named = [(split_name(m["split"]), p) for p in paths if (m := _SPLIT.fullmatch(p.name))]
    for split, path in sorted(named, key=lambda n: (order.get(n[0], 2), n[0])):
        for number, line in lines_of(path, problems):
            name = line.strip()
            if not name:
                problems.add(Problem(str(path), number, "no name of a picture", _MEND))
            elif (first := splits.setdefault(stem_of(name), split)) != split:
                told = f"{name} is in the split {first!r} too: it stays there"
                problems.add(Problem(str(path), number, told, "Take it out of one of the lists.", "repaired"))
    return splits


def captions_token(path: Path, problems: Problems) -> Captions:
    """``Flickr8k.token.txt``: ``<image>.jpg#<k>``, a tab, the text."""
    captions: Captions = {}
    for number, line in lines_of(path, problems):
        key, *rest = line.split("\t", 1) if "\t" in line else line.split(maxsplit=1) or [""]
        told = _KEY.fullmatch(key.strip())
        if told is None or not rest or not rest[0].strip():
            problems.add(Problem(str(path), number, "not '<image>.jpg#<number>', a tab and a text", _MEND))
        else:
            _put(captions, stem_of(told["image"]), int(told["number"]), rest[0].strip(), path, number, problems)
    return captions


def captions_csv(path: Path, problems: Problems) -> Captions:
    """``captions.txt``: a header ``image,caption``; the captions of a picture are numbered in their order."""
    captions: Captions = {}
    counts: Counter[str] = Counter()
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            # A line that cannot be read still counts, or every later caption would go to another recording.
            text = line.decode("utf-8-sig" if number == 1 else "utf-8", errors="replace").strip("\r\n")
            fields = csv_fields(text)
            if number == 1 and fields is not None and [f.strip().lower() for f in fields] == ["image", "caption"]:
                continue
            if fields is None or len(fields) != 2:
                fields = text.split(",", 1)
                if len(fields) == 2:
                    told = "commas or quotes of the caption are not quoted: all after the first comma is taken"
                    problems.add(Problem(str(path), number, told, 'Quote it: image,"caption".', "repaired"))
            image = stem_of(fields[0].strip())
            place = counts[image]
            counts[image] += 1
            if "\ufffd" in text and not _is_utf8(line):
                problems.add(Problem(str(path), number, "not UTF-8 text", "Save the file as UTF-8."))
            elif len(fields) != 2 or not image or not fields[1].strip():
                problems.add(Problem(str(path), number, "not 'image,caption'", _MEND))
            else:
                captions.setdefault(image, {})[place] = fields[1].strip()
    return captions


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


def csv_fields(line: str) -> list[str] | None:
    """The fields of one line, or None: a quote that is not closed must not swallow the lines after it."""
    try:
        return next(csv.reader([line], strict=True), None)
    except csv.Error:
        return None


def _put(
    captions: Captions, image: str, number: int, text: str, path: Path, line: int | None, problems: Problems
) -> None:
    if captions.setdefault(image, {}).setdefault(number, text) != text:
        told = f"another caption {number} of {image}: the first one stays"
        problems.add(Problem(str(path), line, told, "Take one of the lines out."))


def load_karpathy(path: Path) -> list[Any]:
    """The pictures of Karpathy's ``dataset.json``.

    Raises:
        UserError: it is damaged or another kind of file.
    """
    try:
        told = json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as e:
        raise UserError(f"{path}: not JSON ({str(e) or type(e).__name__})", "Copy it again.") from None
    images = told.get("images") if isinstance(told, dict) else None
    if not isinstance(images, list):
        raise UserError(f"{path}: no list 'images'", "Give Karpathy's dataset.json.")
    return images


def captions_karpathy(images: Sequence[Any], path: Path, problems: Problems) -> Captions:
    """The texts: ``sentences[k]["raw"]`` of each picture."""
    captions: Captions = {}
    for place, image in enumerate(images):
        name = image.get("filename") if isinstance(image, dict) else None
        said = image.get("sentences") if isinstance(image, dict) else None
        if not isinstance(name, str) or not isinstance(said, list):
            told = f"images[{place}] has no filename or no sentences"
            problems.add(Problem(str(path), None, told, "Mend the entry."))
            continue
        for number, sentence in enumerate(said):
            text = sentence.get("raw") if isinstance(sentence, dict) else None
            if isinstance(text, str) and text.strip():
                _put(captions, stem_of(name), number, text.strip(), path, None, problems)
            else:
                told = f"sentence {number} of {name!r} has no text 'raw'"
                problems.add(Problem(str(path), None, told, "Mend the entry."))
    return captions


def split_of_karpathy(images: Sequence[Any]) -> dict[str, str]:
    """The split of each picture that says one."""
    told = [(i.get("filename"), i.get("split")) for i in images if isinstance(i, dict)]
    return {stem_of(f): split_name(s) for f, s in told if isinstance(f, str) and isinstance(s, str)}


def read_ctm(path: Path, problems: Problems) -> dict[str, str]:
    """``<image>.jpg_#<k> <channel> <start> <duration> <word>`` → for each ``<image>#<k>`` its lines, for ``words_of``.

    The lines are kept as text: half a million words as Python objects would take a hundred megabytes.
    """
    times: dict[str, str] = {}
    last, key = "", ""  # an utterance's lines follow each other
    for number, line in lines_of(path, problems):
        if line.startswith(";;"):
            continue
        fields = line.split()
        if fields and fields[0] != last:
            last, told = fields[0], _KEY.fullmatch(fields[0])
            key = f"{stem_of(told['image'])}#{int(told['number'])}" if told else ""
        if not key or len(fields) not in (5, 6):
            fault = "not '<image>.jpg_#<number> <channel> <start> <duration> <word>'"
            problems.add(Problem(str(path), number, fault, _MEND))
            continue
        try:
            float(fields[2]), float(fields[3])
        except ValueError:
            problems.add(Problem(str(path), number, "times that are no numbers", _MEND, id=fields[0]))
            continue
        times[key] = times.get(key, "") + f"{fields[2]} {fields[3]} {fields[4]}\n"
    return times


def words_of(lines: str) -> list[Word]:
    """Words and their times in seconds, to the microsecond. Tokens with ``<``, such as ``<SPOKEN_NOISE>``, are no words
    and are left out, as all who read these alignments do."""
    words = []
    for line in lines.split("\n")[:-1]:
        start, length, word = line.split(" ")
        if "<" not in word:
            words.append((word, float(start), round(float(start) + float(length), 6)))
    return words


def tag_words(path: Path) -> list[str]:
    """The words of the soft visual tags, from the line ``Tags:``.

    Raises:
        UserError: there is no such line.
    """
    for _, line in lines_of(path, Problems()):
        if line.startswith("Tags:"):
            return line.split()[1:]
    raise UserError(f"{path}: no line 'Tags:' with the words", "Copy the file again.")


def index_tags(path: Path, problems: Problems) -> dict[str, tuple[int, int]]:
    """For each picture the place and number of its line ``<image>: p1 p2 …``; the numbers themselves stay on disk."""
    index: dict[str, tuple[int, int]] = {}
    with path.open("rb") as file:
        place = 0
        for number, line in enumerate(file, 1):
            name = line.split(maxsplit=1)[:1]
            if name and not line.startswith((b"#", b"Tags:", b"\xef\xbb\xbf")):
                try:
                    image = stem_of(name[0].decode().rstrip(":"))
                except UnicodeDecodeError as e:
                    problems.add(Problem(str(path), number, f"not UTF-8 text ({e.reason})", "Save it as UTF-8."))
                else:
                    if index.setdefault(image, (place, number)) != (place, number):
                        problems.add(Problem(str(path), number, f"{image} has tags already", "Take one line out."))
            place += len(line)
    return index


def read_tags(path: Path, at: tuple[int, int], count: int, problems: Problems) -> list[float] | None:
    """The tags of one picture, from the place that ``index_tags`` gave."""
    with path.open("rb") as file:
        file.seek(at[0])
        fields = file.readline().split()[1:]
    try:
        values = [float(f) for f in fields]
    except ValueError:
        values = []
    if len(values) == count and all(map(math.isfinite, values)):
        return values
    told = f"not {count} numbers: left out"
    problems.add(Problem(str(path), at[1], told, _MEND, "repaired"))
    return None


def read_labels(path: Path, counts: bool, problems: Problems) -> dict[str, Any]:
    """Semantic labels: ``utterance,transcription,a|b|c``, or with ``counts`` ``a=3|b=1``; the first line is a header.

    Returns:
        utterance → words, or [{word, votes}].
    """
    labels: dict[str, Any] = {}
    for number, line in lines_of(path, problems):
        fields = csv_fields(line)
        if number == 1 and fields and not re.fullmatch(r".+_\d+", fields[0]):
            continue
        if fields is None or len(fields) < 2 or not fields[0]:
            problems.add(Problem(str(path), number, "not 'utterance,transcription,keywords'", _MEND))
            continue
        words = [w.strip() for w in fields[-1].split("|") if w.strip()]
        if not counts:
            labels[fields[0]] = words
            continue
        told = [re.fullmatch(r"(.+)=(\d{1,9})", w) for w in words]
        if all(told):
            labels[fields[0]] = [{"word": m[1], "votes": int(m[2])} for m in told if m]
        else:
            problems.add(Problem(str(path), number, "not 'word=votes|word=votes'", _MEND, id=fields[0]))
    return labels


def left_over(path: Path, known: Mapping[str, Any], used: Collection[str], problems: Problems) -> None:
    """Notes what a list tells of utterances that there are no recordings of: one problem, for it can be thousands."""
    rest = [key for key in known if key not in used]
    if rest:
        told = f"{len(rest)} entries of no item of this corpus, the first {rest[0]!r}"
        problems.add(Problem(str(path), None, told, "Nothing, if this is part of the corpus; else mend the names."))
