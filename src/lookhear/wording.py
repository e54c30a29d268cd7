"""The words of a written text, and those among them that say something."""

from __future__ import annotations

import re

__all__ = ["STOP_WORDS", "content_words", "tokens"]

_TOKEN = re.compile(r"\w+(?:['’-]\w+)*")
_MOST = 100  # words of one text: more than a sentence has, and a pasted book must not fill memory

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
"""English words without content of their own, left out when keywords are chosen by frequency."""


def tokens(text: str) -> list[str]:
    """Lower-cased words of a text; inner hyphens and apostrophes belong to the word, other punctuation does not."""
    return _TOKEN.findall(text.lower())


def content_words(text: str) -> list[str]:
    """The words of a text that are not (English) function words, each once, in order; at most a hundred."""
    return list(dict.fromkeys(w for w in tokens(text) if w not in STOP_WORDS))[:_MOST]
