"""Waiting for what a page does."""

from __future__ import annotations

import time


def until(page, expression: str, seconds: float = 8.0) -> None:
    """Until JavaScript is true. The browser's own way of waiting evaluates text, which the page's policy forbids."""
    last = time.monotonic() + seconds
    while not page.evaluate(expression):
        assert time.monotonic() < last, f"never: {expression}"
        page.wait_for_timeout(20)
