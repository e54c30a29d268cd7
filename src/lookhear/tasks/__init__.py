"""Evaluation: one protocol a file, and the visible union of them all."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from lookhear.tasks.detection import Detection
from lookhear.tasks.localisation import Localisation
from lookhear.tasks.regions import Regions
from lookhear.tasks.retrieval import Retrieval
from lookhear.tasks.spotting import Spotting

__all__ = ["Detection", "Localisation", "Regions", "Retrieval", "Spotting", "TaskConfig"]

TaskConfig = Annotated[Retrieval | Spotting | Localisation | Detection | Regions, Field(discriminator="kind")]
"""Any evaluation section of a recipe, told apart by its ``kind``."""
