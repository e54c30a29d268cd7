"""Where things that took long to make are kept between runs."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["cache_folder"]


def cache_folder() -> Path:
    """``LOOKHEAR_CACHE``, or ``lookhear`` in the user's cache folder; all in it can be made again."""
    base = os.environ.get("LOOKHEAR_CACHE")
    return Path(base) if base else Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "lookhear"
