"""How much a request may send, how long it may take, and how many there may be at one time."""

from __future__ import annotations

import asyncio

from lookhear.serve.asgi import App, Message, Receive, Scope, Send, header, refuse
from lookhear.serve.limits import Limits
from lookhear.serve.refusals import Refusal

__all__ = ["Bounds"]


class Bounds:
    """Holds every request to the limits."""

    def __init__(self, app: App, limits: Limits) -> None:
        self.app, self.limits, self._working = app, limits, 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        most = self.limits.body(scope["path"])
        length = header(scope, "content-length") or "0"
        if not length.isdecimal() or int(length[:20]) > most:
            await refuse(send, _too_large(most), close=True)
        elif self._working >= self.limits.requests:
            busy = Refusal(503, "too many requests at one time", "Ask again in a second.", {"retry-after": "1"})
            await refuse(send, busy, close=True)
        else:
            self._working += 1
            await _Exchange(self, most).run(scope, receive, send)

    def done(self) -> None:
        self._working -= 1


class _Exchange:
    """One request and its answer."""

    def __init__(self, bounds: Bounds, most: int) -> None:
        self.bounds, self.most, self.seen = bounds, most, 0
        self.too_large = self.started = False

    async def run(self, scope: Scope, receive: Receive, send: Send) -> None:
        unread = header(scope, "transfer-encoding") is not None or header(scope, "content-length") not in (None, "0")

        async def counted() -> Message:
            nonlocal unread
            message = await receive()
            unread = unread and message.get("more_body", False)
            self.seen += len(message.get("body", b""))
            if self.seen > self.most:
                self.too_large = True
                return {"type": "http.disconnect"}  # the application reads no further
            return message

        async def watched(message: Message) -> None:
            if self.too_large and not self.started:
                return  # whatever it makes of the broken body, the answer is ours
            if not self.started:
                self._start()
                deadline.reschedule(None)
                if unread:  # an answer before the body's end: the rest of it is not waited for
                    message["headers"] = [*message.get("headers", ()), (b"connection", b"close")]
            # A reader that pauses for long holds a connection that others could use; it can go on by a range request.
            async with asyncio.timeout(self.bounds.limits.stall):
                await send(message)

        try:
            async with asyncio.timeout(self.bounds.limits.timeout) as deadline:
                await self.app_of(scope, counted, watched)
        except TimeoutError:
            if self.started:
                raise
            self._start()
            late = Refusal(504, "this took too long", "Ask for less, or again when the service is less busy.")
            await refuse(send, late, close=True)
        else:
            if self.too_large and not self.started:
                self._start()
                await refuse(send, _too_large(self.most), close=True)
        finally:
            if not self.started:
                self._start()

    async def app_of(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self.bounds.app(scope, receive, send)
        except Exception:
            if not self.too_large:
                raise

    def _start(self) -> None:
        """From here on the answer is only being read, which may take long, as of a player that pauses."""
        self.started = True
        self.bounds.done()


def _too_large(most: int) -> Refusal:
    size = f"{most // (1 << 20)} MB" if most >= 1 << 20 else f"{most // 1024} kB"
    return Refusal(413, f"more than {size}", "Send less.")
