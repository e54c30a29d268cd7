"""The speech towers that a recipe can name."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from lookhear.models.speech import LocalTower, SeedTower

__all__ = ["SpeechTowerConfig"]

SpeechTowerConfig = Annotated[LocalTower.Config | SeedTower.Config, Field(discriminator="kind")]
