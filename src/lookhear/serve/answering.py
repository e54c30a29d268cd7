"""From a request to parts, from answers to JSON."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lookhear.search.files import AUDIO, IMAGE
from lookhear.search.index import Where
from lookhear.serve.files import shown
from lookhear.serve.refusals import Refusal
from lookhear.serve.schemas import About, Curve, Example, Filters, Hit, Part, Search, SearchAnswer
from lookhear.serve.service import Service

if TYPE_CHECKING:
    from lookhear.search.answers import Answer
    from lookhear.search.searcher import Searcher

__all__ = ["about", "search"]

_VALUES = 200  # of a filter that are offered
_EXAMPLES = 4  # of each modality


async def search(service: Service, asked: Search) -> SearchAnswer:
    """Hits of a search, best first.

    Raises:
        Refusal: 400, nothing is asked; 404, an upload or file that is not there; 422, more than the limits allow, or
            what the searcher refuses.
    """
    begun = time.perf_counter()
    _check(service, asked)
    parts = await asyncio.gather(*(_part(service, p) for p in (*asked.all, *asked.none)))
    wanted, unwanted = parts[: len(asked.all)], parts[len(asked.all) :]
    where = _where(asked.where)

    def find(searcher: Searcher) -> tuple[list[Hit], bool]:
        found = searcher.find(
            all=wanted, none=unwanted, kind=asked.kind, k=asked.k, offset=asked.offset, where=where
        )  # fmt: skip
        return [_hit(a, searcher.index.about["step"]) for a in found], found.more

    hits, more = await service.ask(find)
    seconds = round(time.perf_counter() - begun, 4)
    return SearchAnswer(hits=hits, more=more, seconds=seconds, rows=await service.rows())


def _check(service: Service, asked: Search) -> None:
    limits = service.limits
    if not asked.all:
        raise Refusal(400, "nothing is asked", 'Give at least one text, upload or moment in "all".')
    if len(asked.all) + len(asked.none) > limits.parts:
        raise Refusal(422, f"a search of more than {limits.parts} parts", "Ask for less at once.")
    if asked.k > limits.page:
        raise Refusal(422, f"{asked.k} hits at once", f'Ask for {limits.page} at most, and page by "offset".')
    if asked.offset + asked.k > limits.offset:
        raise Refusal(422, f"hits beyond the best {limits.offset:,}", "Say more exactly what is looked for.")
    for part in (*asked.all, *asked.none):
        if part.text is not None and len(part.text) > limits.characters:
            raise Refusal(422, f"a query of {len(part.text):,} characters", f"Write {limits.characters} at most.")


async def _part(service: Service, part: Part) -> Any:
    if part.text is not None:
        return await service.text(part.text)
    if part.upload is not None:
        return service.uploads.get(part.upload).part
    moment = part.moment
    assert moment is not None
    await service.source(moment.file)  # a number that is not there is a 404, times outside it are a 422
    return await service.ask(lambda s: s.part(moment=s.answer(moment.file, moment.start, moment.end)))


def _where(filters: Filters) -> Where:
    details = {column: tuple(values) for column, values in filters.details.items() if values}
    return Where(folder=filters.folder or None, since=filters.since, until=filters.until, details=details)


def _hit(answer: Answer, step: float) -> Hit:
    path, heard = Path(answer.source.path), answer.modality == "audio"
    curve = (
        Curve(start=answer.found.start, step=step, values=[_finite(v) for v in answer.curve]) if answer.curve else None
    )
    return Hit(
        file=answer.source.id, name=shown(path.name), folder=shown(str(path.parent)), modality=answer.modality,
        start=answer.start, end=answer.end, score=answer.score, probability=answer.probability,
        text=answer.text if answer.modality == "text" else None, seconds=answer.source.seconds if heard else None,
        details={shown(k): shown(v) for k, v in answer.source.details.items()}, curve=curve,
    )  # fmt: skip


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def about(searcher: Searcher, service: Service) -> About:
    """What the index holds, by what it can be filtered, and what may be asked of the service."""
    from lookhear import __version__

    index, limits = searcher.index, service.limits
    facets = index.facets(10**9)  # the limit is applied here: the span of dates needs them all
    dates = sorted(facets.pop("date", {}))
    folders = _most(facets.pop("folder", {}))
    return About(
        title=service.title,
        version=__version__,
        counts={name: round(n, 4) for name, n in index.counts().items()},
        calibrated=searcher.model.calibration is not None,
        filters={shown(column): _most(values) for column, values in facets.items()},
        folders=folders,
        dates=(shown(dates[0]), shown(dates[-1])) if dates else None,
        limits={
            "upload_bytes": limits.upload_bytes,
            "seconds": limits.seconds,
            "characters": limits.characters,
            "page": limits.page,
            "parts": limits.parts,
            "excerpt": limits.excerpt,
        },
        endings={"audio": sorted(AUDIO), "image": sorted(IMAGE)},
        examples=_examples(searcher),
    )


def _most(values: Mapping[str, int]) -> list[tuple[str, int]]:
    return [(shown(value), n) for value, n in list(values.items())[:_VALUES]]


def _examples(searcher: Searcher) -> list[Example]:
    """A few rows of each modality, the same ones each time."""
    index = searcher.index
    rows: Sequence[Any] = [
        row for m in ("audio", "image", "text") for row in index.sample(_EXAMPLES, 0, Where(modality=m))
    ]
    return [
        Example(
            file=row.source.id, name=shown(Path(row.file).name), modality=row.modality, start=row.start, end=row.end,
            text=text if row.modality == "text" else None,
        )
        for row, text in zip(rows, index.texts(rows))
    ]  # fmt: skip
