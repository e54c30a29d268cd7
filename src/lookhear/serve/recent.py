"""What was made lately and may be asked for again, within a budget of bytes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable

__all__ = ["Recent"]


class Recent:
    """Bytes by key; those that were not asked for longest go first. For one thread (the event loop)."""

    def __init__(self, budget: int) -> None:
        self._budget, self.used = budget, 0
        self._kept: OrderedDict[Hashable, bytes] = OrderedDict()

    def get(self, key: Hashable) -> bytes | None:
        if key not in self._kept:
            return None
        self._kept.move_to_end(key)
        return self._kept[key]

    def put(self, key: Hashable, value: bytes) -> None:
        """Keeps a value, unless it alone exceeds the budget."""
        if len(value) > self._budget:
            return
        self.used -= len(self._kept.pop(key, b""))
        self._kept[key] = value
        self.used += len(value)
        while self.used > self._budget:
            _, old = self._kept.popitem(last=False)
            self.used -= len(old)
