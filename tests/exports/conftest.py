"""The tests of exports: one thread, and no hub but the one that a test plays."""

from __future__ import annotations

import os

os.environ["TRANSFORMERS_VERBOSITY"] = "error"
