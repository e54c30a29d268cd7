"""How the losses of several tasks are balanced: the kinds there are."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from lookhear.balance.dtp import Dtp
from lookhear.balance.dwa import Dwa
from lookhear.balance.gradnorm import GradNorm
from lookhear.balance.mgda import Mgda
from lookhear.balance.pcgrad import PcGrad
from lookhear.balance.plain import Fixed, Sum
from lookhear.balance.uncertainty import Uncertainty

__all__ = ["BalanceConfig"]

BalanceConfig = Annotated[
    Sum.Config
    | Fixed.Config
    | Uncertainty.Config
    | GradNorm.Config
    | Dwa.Config
    | Dtp.Config
    | Mgda.Config
    | PcGrad.Config,
    Field(discriminator="kind"),
]
