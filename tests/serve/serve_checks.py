"""What several tests of the service share."""

from __future__ import annotations

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
