"""A raw corpus made a prepared one: read in order, checked in parallel, written in shards, gone on with when stopped.

While it is made it lies in ``.NAME.part`` beside the folder it becomes. Each shard is written whole and then said to be
done in a file of its own; a run that was killed starts again at the first shard that is not. Shards depend on the items
alone, so the outcome is the same, byte for byte, as that of an unbroken run.
"""

from __future__ import annotations

import errno
import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from tqdm import tqdm

from lookhear.data.corpora import Raw, layout_of, load_layout
from lookhear.data.items import Item, Media, Problem, Problems
from lookhear.data.rows import EXTRA, Rows
from lookhear.data.schema import SCHEMA, SCHEMA_VERSION, Corpus
from lookhear.data.store import MANIFEST, read_store, write_error, write_shard
from lookhear.data.workers import in_processes
from lookhear.errors import UserError

__all__ = ["PROBLEMS", "prepare"]

PROBLEMS = "problems.jsonl"
SHARD_ROWS = 500
FIRST_SHARDS, LARGER = 4, 4
"""So many shards have ``SHARD_ROWS``, that all workers have some of a small corpus; the others so many times as many,
for each shard costs whoever opens the corpus memory."""
SHARD_BYTES = 32 << 20
"""Of items whose sounds and pictures come out of archives: they wait in memory for a worker."""
_WORK = ".work"
_ESCAPED = "backslashreplace"
"""In JSON that is an escape: names of files, and ids in broken lists, may be no Unicode and must be told of too."""


@dataclass(frozen=True)
class _Job:
    """One shard to write: ``digest`` is that of its items."""

    number: int
    items: list[Item]
    digest: str
    folder: Path
    root: Path | None
    schema: pa.Schema

    @property
    def name(self) -> str:
        return f"items-{self.number:05d}.arrow"

    @property
    def done(self) -> Path:
        return self.folder / _WORK / f"{self.number:05d}.json"


def prepare(
    source: Path | str,
    out: Path | str,
    *,
    layout: str = "",
    options: Mapping[str, str] | None = None,
    inside: bool = True,
    workers: int = 2,
    strict: bool = False,
    progress: bool = True,
) -> Corpus:
    """Reads a raw corpus in any known layout into a new prepared folder.

    Args:
        source: folder or file.
        out: the folder to make; one that was begun is gone on with, a finished one of the same source is returned.
        layout: forces a layout instead of recognising it.
        options: of the layout.
        inside: takes the bytes of sounds and pictures into the corpus. Otherwise they stay where they are and the
            corpus refers to them; stretches of longer recordings are taken in all the same.
        workers: processes; 0 works in this one.
        strict: stops at the first item that is wrong.
        progress: a bar on stderr.

    Returns:
        the corpus; ``problems.jsonl`` in its folder has a line for each item that was refused or mended.

    Raises:
        UserError: nothing to read, a folder that holds something else, no space left, or in strict mode any problem.
    """
    source, out = Path(source), Path(out)
    layout = layout or layout_of(source)
    job = {"source": source.resolve().name, "layout": layout, "options": dict(options or {}), "inside": inside}
    if (out / MANIFEST).is_file() and read_store(out).meta.get("prepared") == job:
        shutil.rmtree(out / _WORK, ignore_errors=True)
        return read_store(out)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"{out} exists and is not empty", "Name another folder, or delete this one.")
    raw = load_layout(layout).open_raw(source, options or {})
    building = out.parent / f".{out.name}.part"
    try:
        _begin(building, {**job, "from": str(source.resolve()), "schema": SCHEMA_VERSION})
        root = None if inside else (source if source.is_dir() else source.parent)
        shards = _shards(raw, building, root, workers, strict, progress)
        counts = _problems(building, len(shards))
        if not any(s["rows"] for s in shards):
            told = (building / PROBLEMS).read_text(encoding="utf-8").split("\n")[0]
            first = f"; the first problem: {json.loads(told)['what']}" if told else ""
            raise UserError(f"{source}: no item could be read as {layout}{first}", "Check the layout and the files.")
        meta: dict[str, Any] = {"schema": SCHEMA_VERSION, "name": raw.name, **raw.meta, "prepared": job}
        if root is not None:
            meta["media root"] = str(root.resolve())
        meta |= {"problems": counts, "shards": shards}
        text = json.dumps(meta, indent=1, ensure_ascii=False) + "\n"
        (building / MANIFEST).write_text(text, encoding="utf-8", errors=_ESCAPED)
        building.replace(out)
        shutil.rmtree(out / _WORK)
    except OSError as e:
        raise write_error(e, out) from e
    return read_store(out)


def _begin(building: Path, job: Mapping[str, Any]) -> None:
    """The folder that the corpus is made in.

    Raises:
        UserError: another corpus was begun there.
    """
    told = building / _WORK / "job.json"
    if told.is_file():
        try:
            same = json.loads(told.read_text(encoding="utf-8")) == job
        except ValueError:
            same = False
        if not same:
            raise UserError(f"{building} holds what was begun from another source", "Delete it, or name another --out.")
        return
    shutil.rmtree(building, ignore_errors=True)
    (building / _WORK).mkdir(parents=True)
    told.write_text(json.dumps(job), encoding="utf-8")


def _shards(
    raw: Raw, building: Path, root: Path | None, workers: int, strict: bool, progress: bool
) -> list[dict[str, Any]]:
    """Writes every shard that is not done yet; what the manifest says of all of them."""
    schema = pa.schema([*SCHEMA, *EXTRA, *[f for f in raw.extra if f.name not in {e.name for e in EXTRA}]])
    shards = []
    bar = tqdm(desc="items", unit="item", disable=None if progress else True)
    with (building / _WORK / "read.jsonl").open("w", encoding="utf-8", errors=_ESCAPED) as file, bar:
        problems = Problems(file, strict)
        jobs = (
            _Job(number, items, _digest(items), building, root, schema)
            for number, items in enumerate(_parts(_unique(_told(raw, problems), problems)))
        )
        for done in in_processes(_write, jobs, workers):
            shards.append({"file": done["file"], "rows": done["rows"]})
            for told in done["problems"] if strict else ():
                if told["done"] == "refused":
                    Problems(strict=True).add(Problem(**told))
            bar.update(done["items"])
    return shards


def _told(raw: Raw, problems: Problems) -> Iterator[Item]:
    """The reader's items.

    Raises:
        UserError: a list of the corpus cannot be read.
    """
    try:
        yield from raw.items(problems)
    except OSError as e:
        if e.errno in (errno.ENOSPC, errno.EDQUOT):
            raise  # it is the problems that could not be written
        where = f"{e.filename}: " if e.filename else f"{raw.name}: a file "
        raise UserError(f"{where}cannot be read ({e.strerror or e})", "Check the file and its permissions.") from e


def _unique(items: Iterator[Item], problems: Problems) -> Iterator[Item]:
    """The items, without those whose id another had before; eight bytes of memory an item."""
    # Sorted by themselves for each first byte: merging needs no second copy of all of them.
    seen, fresh = [np.zeros(0, dtype=np.uint64) for _ in range(256)], set[int]()
    for item in items:
        key = int.from_bytes(hashlib.blake2b(item.id.encode(errors="replace"), digest_size=8).digest())
        known = seen[key >> 56]
        at = int(np.searchsorted(known, np.uint64(key)))
        if key in fresh or (at < len(known) and int(known[at]) == key):
            problems.refuse(item, f"a second item {item.id!r}", "Give each item an id of its own.")
            continue
        fresh.add(key)
        if len(fresh) >= 1 << 15:
            keys = np.sort(np.fromiter(fresh, np.uint64, len(fresh)))
            ends = np.searchsorted(keys, np.arange(1, 256, dtype=np.uint64) << np.uint64(56))
            for first, new in enumerate(np.split(keys, ends)):
                seen[first] = np.sort(np.concatenate([seen[first], new]))  # one at a time: the old one goes at once
            fresh.clear()
        yield item


def _parts(items: Iterator[Item]) -> Iterator[list[Item]]:
    """Items of a shard each: as many as it may have, and not much more than ``SHARD_BYTES`` of bytes with them."""
    part: list[Item] = []
    size = shards = 0
    for item in items:
        part.append(item)
        size += sum(len(m.data) for m in (item.audio, item.image) if m is not None and m.data is not None)
        if len(part) >= SHARD_ROWS * (1 if shards < FIRST_SHARDS else LARGER) or size >= SHARD_BYTES:
            yield part
            part, size, shards = [], 0, shards + 1
    if part:
        yield part


def _digest(items: list[Item]) -> str:
    """What tells these items from others: all that a reader said of them."""

    def plain(media: Media | None) -> Any:
        if media is None or media.data is None:
            return media
        return replace(media, data=hashlib.blake2b(media.data, digest_size=16).digest())

    h = hashlib.blake2b(digest_size=16)
    for item in items:
        h.update(repr(replace(item, audio=plain(item.audio), image=plain(item.image))).encode(errors="replace"))
    return h.hexdigest()


def _write(job: _Job) -> dict[str, Any]:
    """Writes one shard, unless it is done; says what was written. Runs in a worker."""
    if job.done.is_file():
        try:
            told: dict[str, Any] = json.loads(job.done.read_text(encoding="utf-8"))
        except ValueError:
            told = {}
        # What was refused may have been mended meanwhile: such a shard is made again.
        if told.get("digest") == job.digest and not told["problems"] and (job.folder / job.name).is_file():
            return told
    rows = Rows(job.root)
    try:
        made = (row for item in job.items if (row := rows.row(item)) is not None)
        shard = write_shard(made, job.schema, job.folder, job.number)
        about = {
            **shard,
            "items": len(job.items),
            "digest": job.digest,
            "problems": [asdict(p) for p in rows.problems],
        }
        part = job.done.with_suffix(".part")
        part.write_text(json.dumps(about, ensure_ascii=False), encoding="utf-8", errors=_ESCAPED)
        part.replace(job.done)
    except OSError as e:
        raise write_error(e, job.folder) from e
    return about


def _problems(building: Path, shards: int) -> dict[str, int]:
    """Joins what the reader and the shards noted into ``problems.jsonl``; how many were refused and mended."""
    counts = {"refused": 0, "repaired": 0}
    with (building / PROBLEMS).open("w", encoding="utf-8", errors=_ESCAPED) as out:

        def note(line: str) -> None:
            counts[json.loads(line)["done"]] += 1
            out.write(line + "\n")

        with (building / _WORK / "read.jsonl").open(encoding="utf-8") as read:
            for line in read:
                note(line.rstrip("\n"))
        for number in range(shards):
            told = json.loads((building / _WORK / f"{number:05d}.json").read_text(encoding="utf-8"))
            for problem in told["problems"]:
                note(json.dumps(problem, ensure_ascii=False))
    return counts
