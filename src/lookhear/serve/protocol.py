"""uvicorn's HTTP connections, with a time limit for the head of a request: it has one only between requests."""

from __future__ import annotations

import asyncio
from typing import Any

__all__ = ["connections"]


def connections(seconds: float) -> Any:
    """A class of connections that are closed when a request's head has not arrived so long after its first byte.

    Without it a client that sends a byte now and then holds a connection for ever, and a few hundred of them all.
    """
    import h11
    from uvicorn.protocols.http.h11_impl import H11Protocol

    class Connection(H11Protocol):
        _late: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self._wait()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self._wait()

        def connection_lost(self, exc: Exception | None) -> None:
            super().connection_lost(exc)
            self._no_longer()

        def _wait(self) -> None:
            """Starts the clock where a head is due; every further byte of it does not start it anew."""
            if self.conn.their_state is not h11.IDLE:
                self._no_longer()
            elif self._late is None:
                self._late = self.loop.call_later(seconds, self._give_up)

        def _no_longer(self) -> None:
            if self._late is not None:
                self._late.cancel()
                self._late = None

        def _give_up(self) -> None:
            self._late = None
            if self.conn.their_state is h11.IDLE and not self.transport.is_closing():
                self.transport.close()

    return Connection
