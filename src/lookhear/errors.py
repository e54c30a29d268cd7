"""What can go wrong by a user's hand, said in one line with its mend."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = ["UserError", "did_you_mean"]


class UserError(Exception):
    """A mistake a user can make and mend.

    Args:
        what: what is wrong; names the file, column or key.
        fix: what to do about it.

    The command line prints ``what`` and ``fix`` on one line and exits with code 2; no traceback.
    """

    def __init__(self, what: str, fix: str) -> None:
        super().__init__(f"{what}. {fix}" if fix else what)
        self.what, self.fix = what, fix


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """``"did you mean 'x'?"`` for the nearest of ``known``, or the list of them."""
    names = sorted(str(k) for k in known)
    near = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    if near:
        return f"did you mean {near[0]!r}?"
    return "known: " + ", ".join(names[:20]) if names else "none are known"
