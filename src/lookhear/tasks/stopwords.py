"""English words without content of their own, left out when keywords are chosen by frequency."""

from __future__ import annotations

__all__ = ["STOP_WORDS"]

_WORDS = """
a about above across after again against all almost along also although always am among an and another any are
around as at away back be because been before behind being below beneath beside besides between beyond both but by
can cannot could did do does doing done down during each either else etc even ever every few for from further get
gets getting had has have having he her here hers herself him himself his how i if in inside into is it its itself
just least less like lots many may me might more most much must my myself near nearby neither next no nor not
nothing now of off on once one only onto or other others our ours ourselves out outside over own per quite rather
really same several shall she should since so some someone something such than that the their theirs them
themselves then there these they this those though through throughout till to together too toward towards under
underneath until up upon us very via was we well were what when where whether which while who whom whose why will
with within without would yet you your yours yourself
"""

STOP_WORDS = frozenset(_WORDS.split())
