"""What programs and the page ask of the index: about, uploads, search, map, export."""

# Not `from __future__ import annotations`: FastAPI reads annotations of functions made here, whose names only this
# place knows, because FastAPI itself is imported only when a service is made.

import asyncio
from typing import Any

from lookhear.errors import UserError
from lookhear.serve import answering
from lookhear.serve.archive_map import draw_map
from lookhear.serve.export import export
from lookhear.serve.forms import sent_file
from lookhear.serve.refusals import Refusal, public
from lookhear.serve.schemas import (
    About,
    ArchiveMap,
    Export,
    Search,
    SearchAnswer,
    Uploaded,
    refusals,
)
from lookhear.serve.service import Service

__all__ = ["api_routes"]

_FORM = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {"file": {"type": "string", "format": "binary"}},
                }
            }
        },
    }
}


def api_routes(service: Service) -> Any:
    """Routes of the API, as FastAPI takes them."""
    from fastapi import APIRouter, Request, Response

    routes = APIRouter(responses=refusals(400, 401, 403, 503, 504))

    @routes.get("/api/about", tags=["search"])
    async def about() -> About:
        """What the index holds, by what it can be filtered, and what may be asked."""
        found: About = await service.of_index("about", lambda s: answering.about(s, service))
        return found

    @routes.post("/api/uploads", tags=["search"], openapi_extra=_FORM, responses=refusals(413, 415, 422))
    async def uploads(request: Request) -> Uploaded:
        """Takes a picture or a recording to search with. Its vectors are kept for some minutes, the file is not."""
        name, data = await sent_file(request)
        kept = await service.upload(data, name)
        return Uploaded(id=kept.id, modality=kept.modality, name=kept.name, seconds=kept.seconds)

    @routes.post("/api/search", tags=["search"], responses=refusals(404, 413, 422))
    async def search(asked: Search) -> SearchAnswer:
        """Finds moments, recordings, pictures or texts."""
        return await answering.search(service, asked)

    @routes.get("/api/map", tags=["search"])
    async def archive_map() -> ArchiveMap:
        """The archive in a plane: a sample of its rows, by the first two principal components of their vectors."""
        found: ArchiveMap = await service.of_index("map", lambda s: draw_map(s.index, service.limits.points))
        return found

    @routes.post(
        "/api/export", tags=["search"], response_class=Response, responses={**refusals(404, 413, 422), **_ATTACHMENT}
    )
    async def export_hits(asked: Export) -> Response:
        """Hits as TextGrid, EAF (one document, or several in a zip) or CSV."""
        if len(asked.hits) > service.limits.export:
            raise Refusal(422, f"{len(asked.hits)} hits at once", f"Export {service.limits.export} at most.")
        numbers = list(dict.fromkeys(hit.file for hit in asked.hits))
        sources = dict(zip(numbers, await asyncio.gather(*map(service.source, numbers))))
        try:
            made = await service.decoding(lambda: export(asked.format, asked.hits, sources))
        except UserError as e:
            raise public(e, {s.path: s.path.rsplit("/", 1)[-1] for s in sources.values()}) from None
        named = {"content-disposition": f'attachment; filename="{made.name}"'}
        return Response(made.content, media_type=made.media_type, headers=named)

    return routes


_ATTACHMENT: dict[int | str, dict[str, Any]] = {
    200: {"content": {kind: {} for kind in ("text/csv", "application/zip", "application/octet-stream")}}
}
