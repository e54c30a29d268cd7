"""The outermost layer: headers that keep browsers careful, counting, and one line for what went wrong inside."""

from __future__ import annotations

import asyncio
import logging
import time
import traceback

from lookhear.serve.asgi import App, Message, Receive, Scope, Send, refuse
from lookhear.serve.metrics import Metrics
from lookhear.serve.refusals import Refusal

__all__ = ["Shell"]

_FRAMES = 8  # of a traceback that say where: those before are the server's
LOG = logging.getLogger("lookhear.serve")
_WAVESURFER = "sha256-fF0LBso7Nz75zaFRDBUefBDvPe19hjaiDnnc8lt+2Js="
"""Of the one style element that wavesurfer 8.0.1 puts into its shadow root (at the page's height of 64 pixels)."""
_PAGE = (
    f"default-src 'self'; style-src 'self' '{_WAVESURFER}'; img-src 'self' blob:; media-src 'self' blob:; "
    "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_NOTHING = "default-src 'none'; frame-ancestors 'none'; sandbox"
"""For whatever is no page: opened by itself, a file of the archive loads nothing and runs nothing."""
_ALWAYS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "permissions-policy": "microphone=(self)",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "x-frame-options": "DENY",
}


class Shell:
    """Wraps everything else.

    Args:
        log: tell every request on the log: method, route, status, milliseconds; never what was asked.
    """

    def __init__(self, app: App, metrics: Metrics, log: bool = False) -> None:
        self.app, self.metrics, self.log = app, metrics, log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        begun, status = time.perf_counter(), 0

        async def outwards(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = _with_care(scope["path"], list(message.get("headers", ())))
                self._count(scope, status, time.perf_counter() - begun)
            await send(message)

        self.metrics.working.inc()
        try:
            await self.app(scope, receive, outwards)
        except Exception as e:
            if isinstance(e, TimeoutError | ConnectionError | asyncio.IncompleteReadError):
                raise  # the reader went or stalled: the server closes the connection
            # Where it happened and what kind it was; its message might hold what somebody searched for.
            where = "".join(traceback.format_tb(e.__traceback__, -_FRAMES))
            LOG.error("%s at %s:\n%s", type(e).__name__, _route(scope), where)
            if status:
                raise ConnectionError("the answer broke off") from None
            await refuse(outwards, Refusal(500, "the service failed", "Its log says where."), close=True)
        finally:
            self.metrics.working.dec()

    def _count(self, scope: Scope, status: int, seconds: float) -> None:
        self.metrics.answered(_route(scope), status, seconds)
        if self.log:
            LOG.info("%s %s %d %.0f ms", scope["method"][:10], _route(scope), status, 1000 * seconds)


def _route(scope: Scope) -> str:
    """A route as the service names it, or what kind of path it was: nothing that was sent."""
    path = getattr(scope.get("route"), "path", None)
    return str(path) if path else "/static" if scope["path"].startswith("/static/") else "other"


def _with_care(path: str, headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    given = {key.lower() for key, _ in headers}
    is_page = path == "/" or path.startswith("/static/")
    more = {**_ALWAYS, "content-security-policy": _PAGE if is_page else _NOTHING}
    more["cache-control"] = "no-cache" if is_page else "no-store"  # unless the answer says otherwise
    return headers + [(k.encode(), v.encode()) for k, v in more.items() if k.encode() not in given]
