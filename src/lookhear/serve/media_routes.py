"""Files of the index, whole or in parts, and what a page draws and plays of them."""

# Not `from __future__ import annotations`: see api_routes.

import json
import re
from pathlib import Path
from typing import Annotated, Any

from lookhear.serve.files import MEDIA_TYPES
from lookhear.serve.media import excerpt, peaks, thumbnail
from lookhear.serve.refusals import Refusal
from lookhear.serve.schemas import Drawing, Failure, refusals
from lookhear.serve.service import Service

__all__ = ["media_routes", "single_range"]

_MINUTES = {"cache-control": "private, max-age=600"}
_BINS = 4000
_RANGE = re.compile(r"bytes=(?:([0-9]{1,18})-([0-9]{0,18})|-([0-9]{1,18}))")


def single_range(given: str | None, size: int) -> bool:
    """Whether a ``Range`` header asks for one stretch of a file; others may be ignored (RFC 9110, 14.2).

    Raises:
        Refusal: 416, the file ends before the stretch.
    """
    match = _RANGE.fullmatch(given or "")
    if match is None:
        return False
    first, last, suffix = match.groups()
    if first and last and int(last) < int(first):
        return False
    if (int(suffix) == 0 or size == 0) if suffix else int(first) >= size:
        raise Refusal(416, f"the file has {size} bytes", "Ask for earlier ones.", {"content-range": f"bytes */{size}"})
    return True


def media_routes(service: Service) -> Any:
    """Routes of files, as FastAPI takes them."""
    from fastapi import APIRouter, Query, Request, Response
    from fastapi import Path as InPath
    from fastapi.responses import FileResponse

    Number = Annotated[int, InPath(ge=0, lt=2**53)]
    Seconds = Annotated[float, Query(ge=0, le=1e7, allow_inf_nan=False)]
    routes = APIRouter(prefix="/media", tags=["files"], responses=refusals(400, 401, 403, 404, 409, 410, 422, 503, 504))

    @routes.head("/{number}", include_in_schema=False)
    @routes.get(
        "/{number}",
        response_class=Response,
        responses={200: _KINDS, 206: {**_KINDS, "description": "Part of it"}, 416: {"model": Failure}},
    )
    async def whole(request: Request, number: Number) -> Response:
        """The file itself, or the stretch of it that a ``Range`` header names."""
        source, path = await service.opened(number)
        if "if-range" not in request.headers and not single_range(request.headers.get("range"), path.stat().st_size):
            request.scope["headers"] = [(k, v) for k, v in request.scope["headers"] if k != b"range"]
        kind = MEDIA_TYPES.get(Path(source.path).suffix.lower(), "application/octet-stream")
        return FileResponse(path, media_type=kind, headers={"cache-control": "private, no-cache"})

    @routes.get("/{number}/excerpt", response_class=Response, responses={**_WAV, **refusals(415)})
    async def stretch(number: Number, start: Seconds, end: Seconds) -> Response:
        """A stretch of a recording as WAV (mono, 16 bits, 16 kHz), whatever format it has and however long it is."""
        _check_stretch(start, end, service.limits.excerpt)
        source, path = await service.opened(number, "audio")
        sound = await service.made(source, path, ("excerpt", start, end), lambda _: excerpt(path, start, end))
        return Response(sound, media_type="audio/wav", headers=_MINUTES)

    @routes.get("/{number}/peaks", response_model=Drawing, responses=refusals(415))
    async def drawing(
        number: Number, start: Seconds, end: Seconds, bins: Annotated[int, Query(ge=1, le=_BINS)] = 800
    ) -> Response:
        """The lowest and highest samples of equal parts of a stretch, to draw its waveform."""
        _check_stretch(start, end, service.limits.peaks)
        source, path = await service.opened(number, "audio")
        drawn = await service.made(
            source,
            path,
            ("peaks", start, end, bins),
            lambda gone: json.dumps(peaks(path, start, end, bins, lambda: not gone.is_set())).encode(),
        )
        return Response(drawn, media_type="application/json", headers=_MINUTES)

    @routes.get("/{number}/thumbnail", response_class=Response, responses={**_JPEG, **refusals(415)})
    async def small(number: Number, size: Annotated[int, Query(ge=16, le=1024)] = 320) -> Response:
        """A picture as JPEG, no side longer than ``size`` pixels."""
        source, path = await service.opened(number, "image")
        picture = await service.made(source, path, ("thumbnail", size), lambda _: thumbnail(path, size))
        return Response(picture, media_type="image/jpeg", headers=_MINUTES)

    return routes


_KINDS: dict[str, Any] = {
    "content": {kind: {} for kind in (*sorted(set(MEDIA_TYPES.values())), "application/octet-stream")}
}
_WAV: dict[int | str, dict[str, Any]] = {200: {"content": {"audio/wav": {}}}}
_JPEG: dict[int | str, dict[str, Any]] = {200: {"content": {"image/jpeg": {}}}}


def _check_stretch(start: float, end: float, longest: float) -> None:
    if not start < end:
        raise Refusal(422, f"a stretch from {start:g} to {end:g} s", "Let it end after its start.")
    if end - start > longest:
        raise Refusal(422, f"a stretch of {end - start:g} s", f"Ask for {longest:g} s at most.")
