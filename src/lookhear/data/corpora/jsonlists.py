"""Large JSON files that hold one list of entries: read entry by entry, so that damage is named and does not spread.

An entry that is no JSON is given up alone. Reading goes on behind the bracket that closes it or, where brackets do not
close, at the next text that is JSON and looks like an entry of this list.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

from lookhear.errors import UserError

__all__ = ["AHEAD", "LIST", "Entry", "Looks", "entries", "gathered", "read_head", "write_list"]

LIST = "data"
"""The key of the list; a file may also be the bare list."""
AHEAD = 1 << 20
"""Characters that an entry may have; real ones have some thousands. A longer one may be taken for a damaged one."""

_DECODER = json.JSONDecoder()
_SPACE = re.compile(r"[ \t\r\n]*")
_TOKEN = re.compile(r'\\.|"[^"\\]*+(?:\\.[^"\\]*+)*+"|[\[\]{},]', re.DOTALL)
_NEXT = re.compile(r",[ \t\r\n]*(?=\{)")
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_CLOSES = {"[": "]", "{": "}"}

Looks = Callable[[Mapping[str, Any]], bool]
"""Whether a JSON object looks like an entry of the list, and not like a part of one."""


class Entry(NamedTuple):
    """One entry of a list.

    Attributes:
        number: its place in the list, from 1; damaged entries count.
        line: of the file, from 1, where it begins.
        value: what it says; None if it is damaged.
        fault: what is wrong with a damaged one.
    """

    number: int
    line: int
    value: dict[str, Any] | None
    fault: str


def read_head(path: Path) -> dict[str, Any]:
    """What a file says before its list.

    Raises:
        UserError: the file cannot be read, or is no JSON object with a list.
    """
    with _opened(path) as file:
        return _head(_Text(file), path)[0]


def entries(path: Path, looks: Looks) -> Iterator[Entry]:
    """The entries of a file's list, in their order, a few MB of text in memory.

    A file that ends too early, and damage behind the list, are told of as a damaged entry.

    Raises:
        UserError: as ``read_head``.
    """
    with _opened(path) as file:
        text = _Text(file)
        bare = _head(text, path)[1]
        number = 0
        while True:
            while text.peek() != "]":
                number += 1
                line = text.line
                if not text.peek():
                    yield Entry(number, line, None, "the file ends before its list does")
                    return
                value, fault, more = text.entry(looks)
                yield Entry(number, line, value, fault)
                if not more:
                    return
            line = text.line
            text.skip(text.at + 1)
            fault, more = _tail(text, bare)
            if not fault:
                return
            number += 1
            yield Entry(number, line, None, fault)
            # Brackets of a damaged entry may have looked like the end of the list.
            if not (more and text.resume(looks, None)):
                return
            text.comma()


def gathered(path: Path, looks: Looks, key: Callable[[Mapping[str, Any]], str]) -> Iterator[Entry]:
    """As ``entries``, those of one ``key`` next to each other, where the first of them stands.

    Reads the file twice, and keeps 8 bytes an entry; entries that do not stand together are held in memory.
    """

    def mark(entry: Entry) -> int:
        return -entry.number if entry.value is None else hash(key(entry.value))

    marks = np.fromiter((mark(e) for e in entries(path, looks)), dtype=np.int64)
    runs = np.concatenate([marks[:1], marks[1:][marks[1:] != marks[:-1]]])
    values, count = np.unique(runs, return_counts=True)
    scattered = set(values[count > 1].tolist())
    held: dict[int, list[Entry]] = {}
    if scattered:
        for entry in entries(path, looks):
            if mark(entry) in scattered:
                held.setdefault(mark(entry), []).append(entry)
    for entry in entries(path, looks):
        if not scattered or (m := mark(entry)) not in scattered:
            yield entry
        else:
            yield from held.pop(m, ())


def write_list(path: Path, head: Mapping[str, Any], values: Iterable[Mapping[str, Any]]) -> None:
    """Writes a file with one list, an entry a line, from an iterator of its entries."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8") as file:
        file.write(json.dumps(dict(head))[:-1] + (", " if head else "") + f'"{LIST}": [')
        for number, value in enumerate(values):
            file.write(("," if number else "") + "\n" + json.dumps(value))
        file.write("\n]}\n")


@contextmanager
def _opened(path: Path) -> Iterator[IO[str]]:
    if path.exists() and not path.is_file():  # a folder; or a pipe, which would be waited for
        raise UserError(f"{path}: cannot be read (no plain file)", "Put the list itself there.")
    try:
        # What is not UTF-8 becomes surrogates, and is found where it stands. Line ends are counted, so they stay.
        with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            yield file
    except OSError as e:
        raise UserError(f"{path}: cannot be read ({e.strerror or e})", "Check the file.") from None


def _head(text: _Text, path: Path) -> tuple[dict[str, Any], bool]:
    """Reads up to the first entry; what was said before the list, and whether the file is the bare list."""
    found: dict[str, Any] = {}
    try:
        if text.peek() == "[":
            text.expect("[")
            return found, True
        text.expect("{")
        while True:
            key = text.value()
            text.expect(":")
            if key == LIST:
                text.expect("[")
                return found, False
            found[str(key)] = text.value()
            text.expect(",")
    except (ValueError, RecursionError) as e:
        raise UserError(
            f"{path}, line {text.line}: not a JSON object with a list {LIST!r} ({_said(e)})", "Copy the file again."
        ) from None


def _tail(text: _Text, bare: bool) -> tuple[str, bool]:
    """What is wrong with what stands behind the list, if anything is; and whether there may be more entries in it."""
    text.fill()
    rest = text.text[text.at :]
    if bare:
        return ("something behind the end of the list" if rest.strip() else ""), True
    try:
        behind = json.loads('{"": 0' + rest)  # the end of an object, made a whole one
    except (ValueError, RecursionError) as e:
        return f"what stands behind the list is not JSON ({_said(e)})", True
    return (f"a second list {LIST!r}, which is not read" if LIST in behind else ""), False


class _Text:
    """The text of a file, held from ``at`` to ``AHEAD`` characters (or some times as many) further, at least."""

    def __init__(self, file: IO[str]) -> None:
        self.file, self.text, self.at, self.line, self.ended = file, "", 0, 1, False

    def fill(self, times: int = 1) -> None:
        while not self.ended and len(self.text) - self.at < times * AHEAD:
            fresh = self.file.read(4 * AHEAD)
            self.ended = not fresh
            self.text, self.at = self.text[self.at :] + fresh, 0

    def skip(self, to: int) -> None:
        self.line += self.text.count("\n", self.at, to)
        self.at = to

    def peek(self) -> str:
        """The next character that is no white space; empty at the end of the file."""
        while True:
            self.fill()
            end = _SPACE.match(self.text, self.at).end()  # type: ignore[union-attr]  # it matches nothing, too
            self.skip(end)
            if end < len(self.text) or self.ended:
                self.fill()
                return self.text[self.at : self.at + 1]

    def expect(self, character: str) -> None:
        if self.peek() != character:
            raise ValueError(f"no {character!r} where one is due")
        self.skip(self.at + 1)

    def comma(self) -> None:
        if self.peek() == ",":
            self.skip(self.at + 1)

    def value(self) -> Any:
        self.peek()
        value, end = _DECODER.raw_decode(self.text, self.at)
        self.skip(end)
        return value

    def entry(self, looks: Looks) -> tuple[dict[str, Any] | None, str, bool]:
        """Reads an entry and the comma behind it: its value, or what is wrong; and whether there may be more."""
        start, more = self.at, True
        try:
            value, end = _DECODER.raw_decode(self.text, start)
        except (ValueError, RecursionError) as e:
            value, fault = None, f"not JSON ({_said(e)})"
            more = self.resume(looks, self._closed())
        else:
            fault = _fault(value, self.text[start:end])
            self.skip(end)
        if not more:
            return None, f"{fault}; nothing behind it can be read", False
        self.comma()
        return (None if fault else value), fault, True

    def resume(self, looks: Looks, closed: int | None) -> bool:
        """Goes to where reading goes on behind damage, at ``closed`` at the latest; False if that is nowhere."""
        while True:
            limit = closed if closed is not None else len(self.text) - (0 if self.ended else AHEAD)
            for match in _NEXT.finditer(self.text, self.at):
                if match.start() >= limit:
                    break
                try:
                    value, _ = _DECODER.raw_decode(self.text, match.end())
                except (ValueError, RecursionError):
                    continue
                if isinstance(value, dict) and looks(value):
                    self.skip(match.start())
                    return True
            if closed is not None:
                self.skip(closed)
                return True
            self.skip(max(self.at, limit))
            if self.ended:
                return False
            self.fill(2)

    def _closed(self) -> int | None:
        """Where the entry that begins here ends by its brackets; None if they do not close."""
        open_: list[str] = []
        for match in _TOKEN.finditer(self.text, self.at, self.at + AHEAD):
            token = match.group()
            if token in _CLOSES:
                open_.append(_CLOSES[token])
            elif token == "," and not open_:
                return match.start()
            elif token in ("]", "}"):
                if not open_:
                    return match.start() if token == "]" else None
                if open_.pop() != token:
                    return None
                if not open_:
                    return match.end()
        return None


def _fault(value: Any, text: str) -> str:
    """What is wrong with an entry that is JSON; ``text`` is what it was read from."""
    if not isinstance(value, dict):
        return "not a JSON object"
    if text.isascii() and not _SURROGATE.search(text):
        return ""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except (UnicodeEncodeError, RecursionError):
        return "not UTF-8 text, or nested too deeply"
    return ""


def _said(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return error.msg
    return "nested too deeply" if isinstance(error, RecursionError) else str(error)
