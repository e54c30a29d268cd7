"""The speech towers that a recipe can name."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from lookhear.models.attend import AttendTower, PoolTower, PscTower
from lookhear.models.davenet import DavenetTower, ResDavenetTower
from lookhear.models.pretrained import PretrainedTower
from lookhear.models.speech import LocalTower, SeedTower

__all__ = ["SpeechTowerConfig"]

SpeechTowerConfig = Annotated[
    LocalTower.Config
    | SeedTower.Config
    | AttendTower.Config
    | PoolTower.Config
    | PscTower.Config
    | DavenetTower.Config
    | ResDavenetTower.Config
    | PretrainedTower.Config,
    Field(discriminator="kind"),
]
