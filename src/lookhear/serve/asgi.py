"""The few words of ASGI that the layers around the application share."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from lookhear.serve.refusals import Refusal

__all__ = ["App", "Message", "Receive", "Scope", "Send", "header", "refuse"]

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


def header(scope: Scope, name: str) -> str | None:
    """The first header of a name in small letters."""
    found = next((value for key, value in scope["headers"] if key == name.encode()), None)
    return None if found is None else found.decode("latin-1")


async def refuse(send: Send, refusal: Refusal, close: bool = False) -> None:
    """Sends a refusal as an answer.

    Args:
        close: the connection, as where the request was not read to its end.
    """
    headers = {"content-type": "application/json", "content-length": str(len(refusal.body)), **refusal.headers}
    if close:
        headers["connection"] = "close"
    raw = [(k.encode("latin-1"), v.encode("latin-1")) for k, v in headers.items()]
    await send({"type": "http.response.start", "status": refusal.status, "headers": raw})
    await send({"type": "http.response.body", "body": refusal.body})
