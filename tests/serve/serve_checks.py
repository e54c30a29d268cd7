"""What several tests of the service share."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

HOST = "http://127.0.0.1:8765"
SCRIPT = "<img src=x onerror=alert(1)>.flac"
SPEAKER = '<script>alert("x")</script>'


def refused(answer: Any, status: int) -> str:
    """What a refusal says; it must be JSON of two sentences, without traceback or path."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    told = answer.json()
    assert {"error", "fix"} <= set(told)
    assert "Traceback" not in answer.text
    assert "/tmp" not in answer.text, answer.text
    return told["error"]


@contextmanager
def in_thread(service: Any) -> Iterator[str]:
    """A service on a port, in this process; its address."""
    from lookhear.serve.app import create_app
    from lookhear.serve.server import configured

    listener = socket.create_server(("127.0.0.1", 0))
    server = configured(create_app(service), service.limits)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(60)
