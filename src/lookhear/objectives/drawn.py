"""Chance that belongs to items: what is drawn for one depends neither on its place in the batch nor on the process."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

import torch

from lookhear.core import Batch

__all__ = ["generators"]


def generators(batch: Batch) -> Iterator[torch.Generator]:
    """A source of chance for each item, by its id and a number drawn once from the global one.

    The loop seeds the global source by step alone, so all processes draw the same number. Items without ids are told
    apart by their place.
    """
    salt = int(torch.randint(1 << 31, ()))
    for i in range(len(batch)):
        name = batch.ids[i] if batch.ids else str(i)
        yield torch.Generator().manual_seed((salt << 32) | zlib.crc32(name.encode()))
