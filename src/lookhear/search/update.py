"""Keeping an index as the folders are: only what is new or changed is embedded, what moved is followed, what went goes.

Every batch of files is committed with its vectors, so that a stopped run has done what it has done, and the same
command goes on. Nothing is taken out before all folders were looked through.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from lookhear.errors import UserError
from lookhear.models.images import VectorTower
from lookhear.models.model import Model
from lookhear.search.details import Details
from lookhear.search.embed import Job, OnError, embed_files, fingerprint, job_of
from lookhear.search.files import AUDIO, IMAGE, TEXT, find_files, modality_of
from lookhear.search.index import Entry, Index, Source, Writer, create_index, discard_index, is_index

__all__ = ["Changes", "index_files", "seen_by"]

_TOGETHER = 64  # files in one transaction


@dataclass
class Changes:
    """What an indexing did, in files."""

    added: int = 0
    changed: int = 0
    moved: int = 0
    copied: int = 0
    removed: int = 0
    kept: int = 0
    failed: int = 0

    def __str__(self) -> str:
        told = ", ".join(f"{n} {what}" for what, n in vars(self).items() if n and what not in ("kept", "failed"))
        return f"{told or 'nothing new'}; {self.kept} as they were" + (
            f"; {self.failed} could not be read" if self.failed else ""
        )


@dataclass
class _Plan:
    """What is to be done with the files that were found."""

    embed: list[Job] = field(default_factory=list)
    changed: set[str] = field(default_factory=set)  # paths of those that the index has with other content
    copies: list[tuple[Source, Job]] = field(default_factory=list)
    moves: list[tuple[Source, Job]] = field(default_factory=list)
    touched: list[tuple[Source, Job]] = field(default_factory=list)
    gone: list[Source] = field(default_factory=list)


def index_files(
    run: Path | str,
    paths: Iterable[Path | str],
    out: Path | str,
    *,
    details: Details | None = None,
    on_error: OnError | None = None,
    say: Callable[[str], None] = lambda line: None,
    progress: bool = False,
) -> Index:
    """Brings an index up to date with files and folders.

    Files of before that lie under these folders and are not there any more leave the index; those of other folders
    stay. Whether a file changed is asked of its size and time first, and of its content where these differ. A file that
    moved, or that another has the content of, is not embedded again. A file or subfolder that cannot be read keeps
    what it had; a folder in which nothing is found (a disk that is not mounted) is an error before anything is done.

    Args:
        run: the run folder; the index remembers it.
        paths: recordings, pictures, texts (a line each), folders of them.
        out: a new folder, or one with an index of the same model; or the address of a server (see ``create_index``).
        details: what is known about files.
        on_error: gets the error of a file that cannot be read; None raises it.
        say: is told, in one line each, what was left out by kind, and what was done.

    Raises:
        UserError: no run, no files, an index of another model, another writer, or the disk is full.
    """
    roots = [Path(p).absolute() for p in paths]
    closed: list[OSError] = []
    files, model = find_files(roots, AUDIO | IMAGE | TEXT, on_error=closed.append), Model.load(run)
    files = seen_by(model, files, say)
    about = {
        "run": str(Path(run).resolve()),
        "model": fingerprint(model),
        "dim": model.dim,
        "step": model.step,
    }
    known = is_index(out)
    index = create_index(out, about)
    changes = Changes()
    failed = _counted(changes, on_error)
    for error in closed:
        failed(UserError(f"{error.filename}: cannot be read ({error.strerror})", "Check the folder's permissions."))
    with index.writing() as writer:
        plan = _plan(index.sources(), roots, files, details or Details(), changes, failed, progress)
        plan.gone = [s for s in plan.gone if not _below(s.path, (e.filename for e in closed))]
        changes.removed = len(plan.gone)
        _apply_cheap(writer, plan)
        writer.commit()
        _embed(writer, model, plan, changes, failed, progress)
        for source in plan.gone:
            writer.remove(source)
    if not len(index):
        index.close()
        if not known:
            discard_index(out)
        raise UserError("nothing to index", "Give a folder with recordings or pictures that can be read.")
    say(str(changes))
    return index


def _counted(changes: Changes, on_error: OnError | None) -> OnError:
    """Errors of files, counted on their way to whoever wants them, or raised if nobody does."""

    def failed(error: UserError) -> None:
        if on_error is None:
            raise error
        changes.failed += 1
        on_error(error)

    return failed


def seen_by(model: Model, files: Sequence[Path], say: Callable[[str], None]) -> list[Path]:
    """The files that a model can embed: one that knows pictures by given vectors only sees none."""
    if not isinstance(model.image, VectorTower):
        return list(files)
    kept = [f for f in files if modality_of(f) != "image"]
    if len(kept) < len(files):
        say(f"{len(files) - len(kept)} pictures left out: this model knows pictures by given vectors only")
    return kept


def _plan(
    known: Sequence[Source],
    roots: Sequence[Path],
    files: Sequence[Path],
    details: Details,
    changes: Changes,
    failed: OnError,
    progress: bool,
) -> _Plan:
    plan, by_path = _Plan(), {s.path: s for s in known}
    found = {str(f.absolute()): f for f in files}
    missing: dict[bytes, list[Source]] = {}
    for one in known:
        if one.path not in found and (_below(one.path, roots) or not Path(one.path).exists()):
            missing.setdefault(one.hash, []).append(one)
    by_hash = {s.hash: s for s in known if s.path in found}
    for path, file in tqdm(found.items(), desc="looking", unit="file", disable=None if progress else True):
        source, about = by_path.get(path), details.of(path)
        try:
            stat = file.stat()
            if source is not None and (source.size, source.modified) == (stat.st_size, stat.st_mtime_ns):
                changes.kept += 1
                if dict(source.details) != about:
                    plan.touched.append((source, _as_job(source, about)))
                continue
            job = job_of(file, about)
        except OSError as e:
            failed(UserError(f"{file}: cannot be read ({e.strerror or e})", "Check the path and its permissions."))
            continue
        except UserError as e:
            failed(e)
            continue
        _place(plan, job, source, missing, by_hash, changes)
    # What is neither here nor moved; where only single files were named, nothing can be missed.
    plan.gone = [s for several in missing.values() for s in several if _below(s.path, roots)]
    return plan


def _below(path: str, folders: Iterable[Path | str]) -> bool:
    return any(path.startswith(str(f).rstrip("/") + "/") for f in folders)


def _place(
    plan: _Plan,
    job: Job,
    source: Source | None,
    missing: Mapping[bytes, list[Source]],
    by_hash: Mapping[bytes, Source],
    changes: Changes,
) -> None:
    """A file that is new, or was written since."""
    gone = [s for s in missing.get(job.hash, ()) if s.modality == job.modality]
    if source is not None and source.hash == job.hash:
        changes.kept += 1
        plan.touched.append((source, job))
    elif source is None and gone:
        changes.moved += 1
        missing[job.hash].remove(gone[0])
        plan.moves.append((gone[0], job))
    elif job.hash in by_hash and by_hash[job.hash].modality == job.modality:
        changes.copied += 1
        plan.copies.append((by_hash[job.hash], job))
    else:
        plan.embed.append(job)
        if source is not None:
            plan.changed.add(job.path)


def _as_job(source: Source, details: Mapping[str, str]) -> Job:
    return Job(source.path, source.hash, source.size, source.modified, source.modality, details)


def _apply_cheap(writer: Writer, plan: _Plan) -> None:
    for source, job in [*plan.moves, *plan.touched]:
        writer.touch(source, path=job.path, size=job.size, modified=job.modified, details=job.details)
    # Where files changed names among each other, what is copied may be about to be replaced by another's content: until
    # then it lies where no file can lie.
    replaced, aside = {job.path for _, job in plan.copies}, dict[int, Source]()
    for source, _ in plan.copies:
        if source.path in replaced and source.id not in aside:
            at = f"{source.path}/aside"
            aside[source.id] = replace(source, path=at)
            writer.touch(source, path=at, size=source.size, modified=source.modified, details=source.details)
    for source, job in plan.copies:
        writer.copy(aside.get(source.id, source), _without_vectors(source, job))
    for source in aside.values():
        writer.remove(source)


def _without_vectors(source: Source, job: Job) -> Entry:
    return job.entry(np.zeros((0, 0), np.float32), seconds=source.seconds)


def _embed(writer: Writer, model: Model, plan: _Plan, changes: Changes, failed: OnError, progress: bool) -> None:
    for n, entry in enumerate(embed_files(model, plan.embed, on_error=failed, progress=progress), 1):
        writer.put(entry)
        changes.changed += entry.path in plan.changed
        changes.added += entry.path not in plan.changed
        if n % _TOGETHER == 0 or entry.seconds > 600:
            writer.commit()
