"""Locators: where in a recording a word is, one way a file, and the visible union of them all."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from lookhear.locators.attention import Attention
from lookhear.locators.base import Asked, Locator
from lookhear.locators.curve import Curve
from lookhear.locators.grad_cam import GradCam
from lookhear.locators.masked import MaskedIn, MaskedOut
from lookhear.locators.tags import TagCurve

__all__ = ["Asked", "Attention", "Curve", "GradCam", "Locator", "LocatorConfig", "MaskedIn", "MaskedOut", "TagCurve"]


def _named(value: Any) -> Any:
    """A locator's name alone stands for its table with every default."""
    return {"kind": value} if isinstance(value, str) else value


_Any = Annotated[Curve | TagCurve | Attention | MaskedIn | MaskedOut | GradCam, Field(discriminator="kind")]

LocatorConfig = Annotated[_Any, BeforeValidator(_named, json_schema_input_type=str | _Any)]
"""Any locator of a recipe, told apart by its ``kind``; or that alone, as in ``by = "curve"``."""
