"""What was heard already, kept beside the output until that is whole, so that a stopped job goes on."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

from lookhear.core import Hit
from lookhear.data.store import write_error
from lookhear.errors import UserError
from lookhear.search.spot import Heard

__all__ = ["Journal", "journal_beside"]

FORMAT = 1


def journal_beside(out: Path) -> Path:
    """The journal of an output: ``.NAME.part.jsonl`` in its folder."""
    out = out.absolute()
    return out.with_name(f".{out.name}.part.jsonl")


@dataclass(frozen=True)
class _File:
    """A recording as it was when it was heard."""

    path: str
    size: int
    mtime: int

    @staticmethod
    def of(path: Path | str) -> _File | None:
        try:
            told = Path(path).stat()
        except OSError:
            return None
        return _File(str(Path(path).absolute()), told.st_size, told.st_mtime_ns)


class Journal:
    """Recordings that were heard to their end: a line of JSON each, after a first line that tells what was asked.

    Used as a context. It appears with the first recording, is written through at every recording, and stays when the
    job stops. A last line that was cut off in a crash is dropped.

    Args:
        path: the file.
        key: what results depend on, such as the model, the words and the threshold; all of it must be as it was.
        names: of the queries, in order.
        anew: a journal with another key is begun anew instead of refused.

    Raises:
        UserError: a journal with another key, or one that is none.
    """

    def __init__(self, path: Path, key: Mapping[str, Any], names: Sequence[str], anew: bool = False) -> None:
        self.path, self.key, self.names = path, dict(key), list(names)
        self.heard: dict[_File, Heard] = {}
        self.whole = 0  # bytes of lines that are whole
        self.file: BinaryIO | None = None
        self.seen: dict[str, _File] = {}
        self._read(anew)

    def _read(self, anew: bool) -> None:
        if not self.path.exists():
            return
        try:
            raw = self.path.read_bytes()
            lines = raw[: raw.rfind(b"\n") + 1].splitlines(keepends=True)
            if not lines:
                return
            head = json.loads(lines[0])
            version, key = head["lookhear spot"], dict(head["key"])
            differ = [name for name in {**self.key, **key} if self.key.get(name) != key.get(name)]
            if version == FORMAT and not differ:
                self.heard = dict(self._of_row(json.loads(line)) for line in lines[1:])
                self.whole = sum(map(len, lines))
                return
        except (OSError, ValueError, LookupError, TypeError) as e:
            raise UserError(f"{self.path}: no journal of `lookhear spot` ({e})", "Delete it to begin anew.") from None
        if not anew:
            what = f"another {', another '.join(differ)}" if differ else "another version of LookHear"
            raise UserError(
                f"{self.path} holds a job that was stopped, with {what}",
                "Go on as it was, name another --out, or give --overwrite to begin anew.",
            )

    def _of_row(self, row: Mapping[str, Any]) -> tuple[_File, Heard]:
        file = _File(row["file"], row["size"], row["mtime"])
        hits = [Hit(file.path, self.names[q], *map(float, rest), probability=p) for q, *rest, p in row["hits"]]
        return file, Heard(file.path, float(row["seconds"]), tuple(hits))

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        if self.file is not None:
            self.file.close()
            if not self.heard:
                self.path.unlink(missing_ok=True)

    def __getitem__(self, file: Path | str) -> Heard | None:
        """What was heard of a recording, if it is as it was then."""
        known = _File.of(file)
        if known is None:
            return None
        self.seen[str(file)] = known
        heard = self.heard.get(known)
        if heard is None:
            return None
        return Heard(str(file), heard.seconds, tuple(replace(h, file=str(file)) for h in heard.hits))

    def add(self, heard: Heard) -> None:
        """Keeps a recording that was asked for before it was heard, on the disk.

        Raises:
            UserError: it cannot be written; what was kept before stays.
        """
        file = self.seen[heard.file]
        number = {name: q for q, name in enumerate(self.names)}
        hits = [[number[h.query], h.start, h.end, h.score, h.probability] for h in heard.hits]
        row = {"file": file.path, "size": file.size, "mtime": file.mtime, "seconds": heard.seconds, "hits": hits}
        try:
            if self.file is None:
                self._begin()
            self._append(row)
        except OSError as e:
            raise write_error(e, self.path) from e
        self.heard[file] = heard

    def _begin(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.file = self.path.open("ab", buffering=0)
        self.file.truncate(self.whole)
        if not self.whole:
            self._append({"lookhear spot": FORMAT, "key": self.key})

    def _append(self, row: Mapping[str, Any]) -> None:
        assert self.file is not None
        rest = (json.dumps(row) + "\n").encode()
        while rest:
            rest = rest[self.file.write(rest) :]
        os.fsync(self.file.fileno())

    def remove(self) -> None:
        """The output is whole: nothing is left to go on with."""
        if self.file is not None:
            self.file.close()
        self.path.unlink(missing_ok=True)
