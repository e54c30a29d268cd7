"""Spotting as a job: over hours of recordings, gone on with when it was stopped, its output written whole."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from lookhear.errors import UserError
from lookhear.models.model import Model
from lookhear.search.embed import fingerprint
from lookhear.search.hits.excerpts import Excerpts
from lookhear.search.hits.journal import Journal, journal_beside
from lookhear.search.hits.marks import write_marks
from lookhear.search.hits.page import write_page
from lookhear.search.hits.staging import staged
from lookhear.search.hits.tables import write_table
from lookhear.search.hits.targets import Target, check_places
from lookhear.search.queries import Asked
from lookhear.search.spot import Heard, hear

__all__ = ["spot_to_files"]


def spot_to_files(
    model: Model,
    files: Sequence[Path],
    asked: Sequence[Asked],
    targets: Sequence[Target],
    *,
    threshold: float | None = None,
    overwrite: bool = False,
    players: int = 200,
    on_error: Callable[[UserError], None] | None = None,
    progress: bool = False,
    say: Callable[[str], None] = lambda line: None,
) -> list[Heard]:
    """Hears the recordings and writes what was found to all targets, which appear together when they are whole.

    Every recording that was heard to its end is kept in a journal beside the first target, which goes when all
    recordings are in the output. So a job that was stopped, or met a full disk, goes on with those that are left and
    leaves the same; so does one of which a recording could not be read, when that was mended. A recording is known by
    its path, size and time of change.

    Args:
        files: recordings, as the targets were made for.
        asked: queries, each of another name.
        threshold, on_error, progress: as of ``hear``.
        overwrite: replace targets that are there, and a journal of another model, other queries or another threshold.
        players: hits of a page that can be heard: the best ones.
        say: is told, in one line, what was heard before.

    Returns:
        What was heard, in the order of the files. Where nothing could be, nothing is written.

    Raises:
        UserError: a target exists, or a journal of another job; something cannot be written, of which nothing is left
            then but the journal; as ``hear``.
    """
    check_places(targets, overwrite)
    with Journal(
        journal_beside(targets[0].path), _key(model, asked, threshold), [a.name for a in asked], anew=overwrite
    ) as journal:
        left = [file for file in files if journal[file] is None]
        if len(left) < len(files):
            say(f"{len(files) - len(left)} of {len(files)} recordings were heard before")
        for heard in hear(model, left, asked, threshold=threshold, on_error=on_error, progress=progress):
            journal.add(heard)
        known = [(number, journal[file]) for number, file in enumerate(files)]
        found = [(number, heard) for number, heard in known if heard is not None]
        if not found:
            return []
        _write(targets, found, model, asked, overwrite, players)
        if len(found) == len(files):
            journal.remove()
        else:
            say(f"what was heard is kept in {journal.path}: once the others are mended, --overwrite takes them in")
    return [heard for _, heard in found]


def _write(
    targets: Sequence[Target],
    found: Sequence[tuple[int, Heard]],
    model: Model,
    asked: Sequence[Asked],
    overwrite: bool,
    players: int,
) -> None:
    names, every = [a.name for a in asked], [heard for _, heard in found]
    places = [t.files[number] for t in targets if t.each for number, _ in found]
    places += [t.path for t in targets if not t.each]
    with staged(places, overwrite) as parts:
        for target in targets:
            if target.each:
                for number, heard in found:
                    place = target.files[number]
                    write_marks(heard, names, parts[place], place)
            elif target.kind == "html":
                write_page(every, names, parts[target.path], Excerpts(model, asked), players)
            else:
                write_table(target.kind, every, parts[target.path])


def _key(model: Model, asked: Sequence[Asked], threshold: float | None) -> dict[str, Any]:
    """What hits depend on, beside the recordings."""
    own = hashlib.sha256(fingerprint(model).encode())
    if model.calibration is not None:
        for name, value in sorted(model.calibration.state_dict().items()):
            own.update(name.encode() + value.cpu().numpy().tobytes())
    queries = hashlib.sha256()
    for query in asked:
        _take_in(query, queries)
    return {"model": own.hexdigest()[:16], "list of queries": queries.hexdigest()[:16], "threshold": threshold}


def _take_in(query: Asked, digest: Any) -> None:
    digest.update(repr((query.name, query.words, len(query.against))).encode())
    digest.update(query.parts.float().cpu().numpy().tobytes())
    for other in query.against:
        _take_in(other, digest)
