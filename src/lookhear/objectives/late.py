"""Buffers whose shape is known from the first batch only."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

__all__ = ["register_late_buffer"]


def register_late_buffer(module: nn.Module, name: str, empty: Tensor) -> None:
    """Registers a buffer that begins empty, may be replaced by one of another shape, and takes a saved one's shape.

    An objective is built before it has seen a model, so it cannot know how wide the shared space is, or how many
    weights a tower has; a run that goes on must load what it did know when it was stopped.
    """
    module.register_buffer(name, empty)

    def take_shape(module: nn.Module, state: dict[str, Any], prefix: str, *_: object) -> None:
        given = state.get(prefix + name)
        if given is not None:
            setattr(module, name, getattr(module, name).new_empty(given.shape))

    module.register_load_state_dict_pre_hook(take_shape)  # type: ignore[no-untyped-call]
