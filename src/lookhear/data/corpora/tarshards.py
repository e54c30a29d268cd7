"""Tar archives read from beginning to end: members grouped by the first part of their names, nothing unpacked.

An archive may be made to harm: by links, names that climb, sparse members and headers that promise more than there is,
headers that lead back. What is refused, and why, is said of the sample that it belongs to.
"""

from __future__ import annotations

import io
import re
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from lookhear.data.items import Problem, Problems

__all__ = ["MAX_MEMBER", "MAX_TEXT", "Sample", "read_samples"]

MAX_MEMBER = 1 << 28
"""Bytes of a sound or picture (256 MiB: two hours of 16-bit sound); larger members are not read."""
MAX_TEXT = 1 << 23
"""Bytes of any other member."""
MAX_HEADER = 1 << 18
"""Bytes of a header's further blocks, which hold long names."""


@dataclass
class Sample:
    """The members of one key.

    Attributes:
        key: the members' name up to the first dot after the folders.
        parts: kind → (name, data).
        fault: why the sample must be refused; empty if it need not be.
        unread: suffixes of members that were not read.
    """

    key: str
    parts: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    fault: str = ""
    unread: set[str] = field(default_factory=set)


def read_samples(
    shard: Path, kinds: Mapping[str, str], wanted: Mapping[str, str], problems: Problems
) -> Iterator[Sample]:
    """The samples of a shard that are whole; what is wrong with the shard itself is noted.

    Args:
        kinds: suffix in small letters → what such a member is; of ``left.jpg`` the last part counts if all does not.
        wanted: kind → the only suffix to read of it. Else a sample's first member of a kind is read, rather one whose
            suffix has no further dots.
        problems: takes down that the shard is cut off or damaged. The sample before that is not given.
    """
    sample: Sample | None = None
    try:
        for tar, member, file in _members(shard):
            if member.isdir():
                continue
            key, suffix = _parted(member.name)
            if sample is None or key != sample.key:
                if sample is not None:
                    yield sample
                sample = Sample(key)
            kind = kinds.get(suffix) or kinds.get(suffix.rpartition(".")[2], "")
            if kind and wanted.get(kind, suffix) != suffix:
                kind = ""
            _take(sample, suffix, kind, tar, member, file)
    except _Followed as e:
        problems.add(Problem(str(shard), None, str(e), "Join archives with tar --concatenate."))
        if sample is not None:
            yield sample
    except (tarfile.TarError, OSError) as e:
        lost = f"; the sample {sample.key!r} before that may lack members and is left out" if sample else ""
        what = f"cut off or damaged ({e}): nothing is read from there on{lost}"
        problems.add(
            Problem(str(shard), None, what, "Copy or write the shard again.", id=sample.key if sample else None)
        )
    else:
        if sample is not None:
            yield sample


class _Followed(tarfile.ReadError):
    """The archive is whole, and something comes after its end."""


class _Bounded(io.RawIOBase):
    """A file for ``tarfile`` that knows no jumps beyond its end or before its beginning, and no endless headers."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        self.file, self.size, self.most = file, size, MAX_HEADER

    def read(self, n: int = -1, /) -> bytes:
        if not 0 <= n <= self.most:
            raise tarfile.ReadError(f"a header of {n} bytes")
        return self.file.read(n)

    def seek(self, position: int, whence: int = 0, /) -> int:
        if whence or not 0 <= position <= self.size:
            raise tarfile.ReadError("unexpected end of data")
        return self.file.seek(position)

    def tell(self) -> int:
        return self.file.tell()


def _members(path: Path) -> Iterator[tuple[tarfile.TarFile, tarfile.TarInfo, _Bounded]]:
    """The members of an archive, none kept in memory.

    Raises:
        tarfile.TarError: it is damaged or cut off; members before that were given.
    """
    size = path.stat().st_size
    with path.open("rb") as raw:
        file = _Bounded(raw, size)
        try:
            tar = tarfile.TarFile(str(path), fileobj=file, encoding="utf-8", errors="surrogateescape")
            before = -1
            while (member := tar.next()) is not None:
                if member.offset <= before or member.size < 0 or tar.offset <= member.offset:
                    raise tarfile.ReadError("members that go backwards")
                before = member.offset
                tar.members.clear()  # type: ignore[attr-defined]  # which would grow with the archive
                yield tar, member, file
        except (ValueError, IndexError, RecursionError) as e:  # what tarfile lets out of headers that are none
            raise tarfile.ReadError(f"a damaged header ({type(e).__name__})") from None
        file.seek(min(tar.offset, size))
        block = file.read(512)
        if len(block) < 512:
            raise tarfile.ReadError("no end of archive")
        if block.strip(b"\0"):  # tarfile takes any block that is no header for the end
            raise tarfile.ReadError("a damaged header")
        while block := file.read(1 << 16):
            if block.strip(b"\0"):
                raise _Followed("something follows the end of the archive: it is not read")


def _parted(name: str) -> tuple[str, str]:
    """Key and suffix, in small letters, of a member's name."""
    folder, slash, file = name.rpartition("/")
    stem, _, suffix = file.partition(".")
    return folder + slash + stem, suffix.lower()


def _take(
    sample: Sample, suffix: str, kind: str, tar: tarfile.TarFile, member: tarfile.TarInfo, file: _Bounded
) -> None:
    """Reads a member into its sample, or says why not."""
    most = MAX_MEMBER if kind in ("audio", "image") else MAX_TEXT
    fault = _fault(member)
    if not fault and kind and member.size > most:
        fault = f"{member.name!r} has {member.size} bytes, more than {most}"
    before = sample.parts.get(kind)
    if before is not None and before[0] == member.name:
        fault = fault or f"a second member {member.name!r}"
    if fault:
        sample.fault = sample.fault or fault
        return
    if before is not None and "." in _parted(before[0])[1] and "." not in suffix:
        sample.unread.add(_parted(before[0])[1])
    elif before is not None or not kind:
        sample.unread.add(suffix)
        return
    file.most = most
    data = tar.extractfile(member)
    assert data is not None  # for a plain file
    sample.parts[kind] = (member.name, data.read())
    file.most = MAX_HEADER


def _fault(member: tarfile.TarInfo) -> str:
    """Why a member must not be read."""
    name = member.name
    if not member.isreg() or member.issparse():
        return f"{name!r} is {'a link' if member.islnk() or member.issym() else 'no plain file'}"
    if name.startswith(("/", "\\")) or ".." in re.split(r"[/\\]", name) or re.match(r"[A-Za-z]:", name):
        return f"{name!r} climbs out of the archive"
    if any("\udc80" <= c <= "\udcff" for c in name):
        return f"a member whose name is not UTF-8 ({name.encode(errors='replace').decode()!r})"
    if not _parted(name)[1]:
        return f"{name!r} has no suffix that tells what it is"
    return ""
