"""The application: routes in their layers, from the outermost that sets headers to the innermost that answers."""

# Not `from __future__ import annotations`: see api_routes.

import mimetypes
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from lookhear.errors import UserError
from lookhear.serve.api_routes import api_routes
from lookhear.serve.bounds import Bounds
from lookhear.serve.gate import Gate, Token
from lookhear.serve.media_routes import media_routes
from lookhear.serve.own_routes import own_routes
from lookhear.serve.refusals import Refusal, library, public
from lookhear.serve.service import Service
from lookhear.serve.shell import Shell

__all__ = ["PAGE", "create_app"]

PAGE = Path(__file__).with_name("page")
"""The folder of the page: index.html and what it loads."""


def create_app(
    service: Service,
    *,
    names: Sequence[str] = ("localhost", "127.0.0.1", "::1"),
    any_address: bool = False,
    token: str | None = None,
    log: bool = False,
) -> Any:
    """The service as an ASGI application (FastAPI); its end closes the service.

    Args:
        names: hosts that it is known by.
        any_address: it listens on all addresses of the machine.
        token: that is asked for.
        log: a line for every request, without what was asked.

    Raises:
        UserError: the extra is not installed.
    """
    for name in ("fastapi", "python_multipart"):
        library(name)
    from fastapi import FastAPI
    from fastapi.exceptions import RequestValidationError
    from fastapi.responses import FileResponse, Response
    from fastapi.staticfiles import StaticFiles
    from starlette.exceptions import HTTPException

    from lookhear import __version__

    @asynccontextmanager
    async def living(_: FastAPI) -> AsyncIterator[None]:
        yield
        service.close()

    # No pages of documentation: FastAPI's load scripts from elsewhere. /openapi.json tells the same.
    app = FastAPI(title="LookHear", version=__version__, lifespan=living, docs_url=None, redoc_url=None)
    key = None if token is None else Token(token)
    app.include_router(own_routes(service, key))
    app.include_router(api_routes(service))
    app.include_router(media_routes(service))

    @app.head("/", include_in_schema=False)
    @app.get("/", include_in_schema=False)
    async def page() -> FileResponse:
        return FileResponse(PAGE / "index.html", media_type="text/html; charset=utf-8")

    for kind, ending in (("text/javascript", ".js"), ("font/woff2", ".woff2"), ("text/css", ".css")):
        mimetypes.add_type(kind, ending)  # what the system's own table says differs, and browsers must not guess
    app.mount("/static", StaticFiles(directory=PAGE, check_dir=False), name="static")

    async def refused(_: Any, error: Exception) -> Response:
        refusal = _as_refusal(error)
        return Response(refusal.body, refusal.status, headers=refusal.headers, media_type="application/json")

    for kind_of_error in (UserError, RequestValidationError, HTTPException):
        app.add_exception_handler(kind_of_error, refused)
    app.add_middleware(Bounds, limits=service.limits)
    app.add_middleware(Gate, names=frozenset(n.lower() for n in names), any_address=any_address, token=key)
    app.add_middleware(Shell, metrics=service.metrics, log=log)
    return app


_HTTP = {
    400: ("a request that cannot be read", "Send JSON as /openapi.json says."),
    404: ("nothing is here", "See /openapi.json for what there is."),
    405: ("this cannot be done here", "See /openapi.json for what can."),
}


def _as_refusal(error: Exception) -> Refusal:
    """Any error that a request can cause, in the service's words; never with what was sent."""
    from fastapi.exceptions import RequestValidationError
    from starlette.exceptions import HTTPException

    if isinstance(error, UserError):
        return public(error)
    if isinstance(error, RequestValidationError):
        first = error.errors()[0]
        where = ".".join(str(part)[:40] for part in first["loc"][:4] if isinstance(part, int) or part.isidentifier())
        message = str(first["msg"]).removeprefix("Value error, ")
        return Refusal(422, f"{where}: {message}", "Ask as /openapi.json says.")
    assert isinstance(error, HTTPException)
    what, fix = _HTTP.get(error.status_code, ("this request was refused", "See /openapi.json."))
    return Refusal(error.status_code, what, fix, dict(error.headers or {}))
