"""The service on a port: bound before anything is loaded, stopped without breaking off an answer."""

from __future__ import annotations

import copy
import errno
import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from lookhear.errors import UserError
from lookhear.serve.gate import is_loopback
from lookhear.serve.limits import Limits
from lookhear.serve.protocol import connections
from lookhear.serve.refusals import library

__all__ = ["LEAST_TOKEN", "Place", "configured", "place", "serve"]

LEAST_TOKEN = 8
"""Characters of a token."""


@dataclass(frozen=True)
class Place:
    """Where a service listens.

    Attributes:
        names: hosts that it is known by.
        any_address: it listens on all addresses of the machine.
        address: for a browser, the token included.
    """

    listener: socket.socket
    names: tuple[str, ...]
    any_address: bool
    token: str | None
    address: str


def place(host: str, port: int, token: str | None = None, names: Sequence[str] = ()) -> Place:
    """Binds a port, after looking whether it may be.

    Args:
        port: 0 for any that is free.
        names: further hosts that the service is known by, such as that of a proxy.

    Raises:
        UserError: an address that others can reach without a token; a token too short, or of characters that headers
            do not carry; a port that is taken or not allowed; no such address.
    """
    if token is None and not is_loopback(host):
        fix = "Give --token (or LOOKHEAR_TOKEN), as from: openssl rand -hex 16; or leave --host out."
        raise UserError(f"--host {host}: others could read the archive without a token", fix)
    if token is not None and (
        len(token) < LEAST_TOKEN or not token.isascii() or not token.isprintable() or " " in token
    ):
        raise UserError(
            f"a token that is no {LEAST_TOKEN} or more letters and digits", "Take one of: openssl rand -hex 16."
        )
    listener = _listen(host, port)
    known = {host.lower(), *(n.lower() for n in names)}
    any_address = host in ("0.0.0.0", "::")
    if is_loopback(host) or any_address:
        known.add("localhost")
    if any_address:
        known |= {socket.gethostname().lower(), socket.getfqdn().lower()}
    shown = "localhost" if any_address else f"[{host}]" if ":" in host else host
    address = f"http://{shown}:{listener.getsockname()[1]}/" + (f"?token={token}" if token else "")
    return Place(listener, tuple(sorted(known)), any_address, token, address)


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.socket(family, socket.SOCK_STREAM)
    except OSError:
        raise UserError(f"--host {host}: no such address", "Give 127.0.0.1, or an address of this machine.") from None
    try:
        listener.setsockopt(
            socket.SOL_SOCKET, socket.SO_REUSEADDR, 1
        )  # not to wait for connections of a service before
        listener.bind((host, port))
        # Now, not when the model is loaded: a second service then hears at once that the port is taken.
        listener.listen(2048)
    except OSError as e:
        listener.close()
        if e.errno == errno.EADDRINUSE:
            raise UserError(
                f"{host}:{port} is taken by another service", "Name another --port, or 0 for any."
            ) from None
        if e.errno == errno.EACCES:
            raise UserError(f"port {port} is not allowed", "Name one above 1023 with --port.") from None
        raise UserError(
            f"--host {host}: cannot be listened on ({e.strerror})", "Give an address of this machine."
        ) from None
    return listener


def serve(
    index: Path | str,
    at: Place,
    limits: Limits | None = None,
    *,
    run: Path | str | None = None,
    linked: Sequence[Path] = (),
    threads: int = 2,
    log: bool = False,
    ready: Callable[[], None] = lambda: None,
) -> None:
    """Answers until the process is told to stop (SIGINT, SIGTERM), then ends what is in flight.

    Args:
        run: the run that the index was made with, if it was moved.
        linked: folders that links of the archive may lead into.
        threads: that ask the index at one time.
        ready: called when it answers.

    Raises:
        UserError: no index, another model, or the extra is not installed.
    """
    library("uvicorn")
    import torch

    from lookhear.models.model import Model
    from lookhear.search.index import open_index
    from lookhear.search.searcher import Searcher
    from lookhear.serve.app import create_app
    from lookhear.serve.service import Service

    # Threads that search at one time and each use all cores get in each other's way.
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // threads))
    limits = limits or Limits()
    searcher = Searcher(index, Model.load(run) if run else None)

    def another() -> Searcher:
        """What a thread needs of its own; that index and model fit each other was found out already."""
        own = copy.copy(searcher)
        own.index = open_index(index)
        return own

    service = Service(searcher, another, limits, threads, linked)
    app = create_app(service, names=at.names, any_address=at.any_address, token=at.token, log=log)
    server = configured(app, limits)
    threading.Thread(target=_tell, args=(server, ready), daemon=True).start()
    with _quiet_end():
        server.run(sockets=[at.listener])


def configured(app: Any, limits: Limits) -> Any:
    """A uvicorn server of an application, held to the limits that are not the application's."""
    uvicorn = library("uvicorn")
    config = uvicorn.Config(
        app, log_config=None, access_log=False, server_header=False, ws="none", http=connections(limits.head),
        loop="asyncio", lifespan="on", limit_concurrency=limits.connections, timeout_keep_alive=limits.idle,
        h11_max_incomplete_event_size=16_384, timeout_graceful_shutdown=max(1, round(limits.grace)),
    )  # fmt: skip
    # Its messages may quote what a request held; what fails in the application is told by ``Shell``.
    logging.getLogger("uvicorn").setLevel(logging.CRITICAL + 1)
    return uvicorn.Server(config)


def _tell(server: Any, ready: Callable[[], None]) -> None:
    while not server.started:
        if server.should_exit:
            return
        time.sleep(0.02)
    ready()


@contextmanager
def _quiet_end() -> Iterator[None]:
    """uvicorn raises the signal that stopped it once more; what did all that it asked for has not failed."""

    def nothing(_: int, __: FrameType | None) -> None:
        return None

    before = {number: signal.signal(number, nothing) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
