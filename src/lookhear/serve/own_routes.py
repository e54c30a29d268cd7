"""What the service tells of itself, and how a page gets its cookie."""

# Not `from __future__ import annotations`: see api_routes.

from typing import Any

from lookhear.serve.gate import Token
from lookhear.serve.refusals import Refusal
from lookhear.serve.schemas import Health, Session, refusals
from lookhear.serve.service import Service

__all__ = ["own_routes"]


def own_routes(service: Service, token: Token | None) -> Any:
    """Routes for watching and for signing in, as FastAPI takes them."""
    from fastapi import APIRouter, Response

    routes = APIRouter(responses=refusals(400, 401, 403, 503, 504))

    @routes.get("/health", tags=["watching"])
    async def health() -> Health:
        """Whether the service answers, and how many rows it searches."""
        return Health(status="ok", rows=await service.rows())

    @routes.get(
        "/metrics", tags=["watching"], response_class=Response, responses={200: {"content": {"text/plain": {}}}}
    )
    async def metrics() -> Response:
        """What was counted, in the text format of Prometheus."""
        return Response(service.metrics.text(), media_type=service.metrics.content_type)

    @routes.post("/api/session", status_code=204, tags=["page"], responses=refusals(413, 422))
    async def session(given: Session) -> Response:
        """Trades the token for a cookie, which pictures and players send, too."""
        if token is None:
            return Response(status_code=204)
        if not token.is_right(given.token):
            raise Refusal(401, "this is not the token", "Copy it from where `lookhear serve` was started.")
        return Response(status_code=204, headers={"set-cookie": token.cookie})

    return routes
