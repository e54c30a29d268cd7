"""Limits of archives, lowered for tests."""

import pytest

from lookhear.search.archive import codec, nearest, tidy


@pytest.fixture
def low(monkeypatch):
    """Limits so low that a small archive goes through all that a large one does."""
    for name, value in (("MOST_FRESH", 12), ("FITTED", 600), ("GONE", 0.1)):
        monkeypatch.setattr(tidy, name, value)
    monkeypatch.setattr(nearest, "SEALED", 4)
    monkeypatch.setattr(codec, "COMPONENTS", 8)
    monkeypatch.setattr(codec, "STAGES", 2)
