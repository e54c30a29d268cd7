"""Where a Qdrant index lies, and what goes wrong on the way there."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from lookhear.errors import UserError

__all__ = ["Address", "connect", "disconnect", "parse_address", "qdrant", "server_errors"]

_FORM = re.compile(
    r"qdrant://(?:(?P<host>[\w.-]+|\[[\da-fA-F:]+\]):(?P<port>\d{1,5})|(?P<memory>:memory:)|(?P<folder>/.+))"
    r"/(?P<collection>\w[\w-]*)(?P<tls>\?tls)?"
)
_TIMEOUT = 60  # seconds
_local: dict[str, tuple[Any, int]] = {}
"""Folder or ":memory:" → its client and how many use it: a folder lets in one client at a time."""


@dataclass(frozen=True)
class Address:
    """``qdrant://host:port/collection``, and ``?tls`` where the server speaks it.

    ``qdrant:///folder/collection`` and ``qdrant://:memory:/collection`` need no server: qdrant-client does its work in
    Python, in one process at a time, which is for trying things out.

    Attributes:
        place: the folder or ":memory:"; None of a server.
        options: of ``QdrantClient``.
    """

    text: str
    collection: str
    place: str | None
    options: Mapping[str, Any]

    def __str__(self) -> str:
        return self.text


def parse_address(text: str) -> Address:
    """Reads an address.

    Raises:
        UserError: it is none.
    """
    found = _FORM.fullmatch(text)
    if found is None or int(found["port"] or 1) not in range(1, 65536):
        raise UserError(f"{text}: not an address", "Write it as qdrant://host:port/collection.")
    if found["host"] is None:
        return Address(text, found["collection"], found["memory"] or found["folder"], {})
    options = {
        "host": found["host"],
        "port": int(found["port"]),
        "https": found["tls"] is not None,
        "api_key": os.environ.get("QDRANT_API_KEY") or None,
        "timeout": _TIMEOUT,
        "check_compatibility": False,
    }
    return Address(text, found["collection"], None, options)


def qdrant() -> Any:
    """The client library, from the extra ``cluster``.

    Raises:
        UserError: it is not installed.
    """
    try:
        import qdrant_client
    except ImportError:
        raise UserError(
            "an index on a server needs qdrant-client", "Install it: pip install 'lookhear[cluster]'."
        ) from None
    return qdrant_client


def connect(address: Address) -> Any:
    """A client; of a folder, or in memory, the one that this process has already.

    Raises:
        UserError: no library, or another process uses the folder.
    """
    library = qdrant()
    if address.place is None:
        return library.QdrantClient(**address.options)
    client, users = _local.get(address.place, (None, 0))
    if client is None:
        name = "location" if address.place == ":memory:" else "path"
        try:
            client = library.QdrantClient(**{name: address.place}, force_disable_check_same_thread=True)
        except RuntimeError:
            raise UserError(f"{address}: another process uses the folder", "Use a server for several.") from None
        except OSError as e:
            raise UserError(f"{address}: cannot be written ({e.strerror or e})", "Name another folder.") from None
    _local[address.place] = client, users + 1
    return client


def disconnect(address: Address, client: Any) -> None:
    """Closes it, when nobody else in this process uses it; what is in memory stays until the process ends."""
    if address.place is None:
        client.close()
    elif address.place != ":memory:":
        users = _local[address.place][1] - 1
        _local[address.place] = client, users
        if not users:
            del _local[address.place]
            client.close()


@contextmanager
def server_errors(address: Address) -> Iterator[None]:
    """What the server, or the way to it, does not do, in one line."""
    exceptions = qdrant().http.exceptions
    try:
        yield
    except exceptions.ResponseHandlingException as e:
        raise UserError(f"{address}: no answer ({_line(e)})", "Start the server, or check host and port.") from None
    except exceptions.UnexpectedResponse as e:
        if e.status_code in (401, 403):
            raise UserError(f"{address}: the server wants a key", "Set QDRANT_API_KEY.") from None
        raise UserError(
            f"{address}: refused with {e.status_code} ({_line(e)})", "Look into the server's log; nothing was lost."
        ) from None


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
