"""Who may stand beside whom: the kinds there are."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from lookhear.partners.language import LanguagePartners
from lookhear.partners.listed import ListedPartners
from lookhear.partners.partition import PartitionPartners
from lookhear.partners.same import SamePartners

__all__ = ["PartnersConfig"]

PartnersConfig = Annotated[
    LanguagePartners | ListedPartners | PartitionPartners | SamePartners, Field(discriminator="kind")
]
