"""How the service says no: a status, what is wrong and what to do, as JSON."""

from __future__ import annotations

import importlib
import json
from types import ModuleType

from lookhear.errors import UserError

__all__ = ["Refusal", "library", "public"]


class Refusal(UserError):
    """A request that is not answered.

    Args:
        status: of HTTP.
        what, fix: as of ``UserError``; neither tells a path.
        headers: further ones of the answer.
        more: further keys of its JSON.
    """

    def __init__(
        self,
        status: int,
        what: str,
        fix: str,
        headers: dict[str, str] | None = None,
        more: dict[str, str] | None = None,
    ) -> None:
        super().__init__(what, fix)
        self.status, self.headers, self.more = status, headers or {}, more or {}

    @property
    def body(self) -> bytes:
        """JSON: "error" and "fix"."""
        return json.dumps({"error": self.what, "fix": self.fix, **self.more}).encode()


def public(error: UserError, names: dict[str, str] | None = None, status: int = 422) -> Refusal:
    """A mistake as a client may read it: paths of this machine give way to names.

    Args:
        names: path → what the client knows the file by.
        status: of errors that bring none of their own.
    """
    if isinstance(error, Refusal):
        return error
    what, fix = error.what, error.fix
    for path, name in (names or {}).items():
        what, fix = what.replace(path, name), fix.replace(path, name)
    return Refusal(status, what, fix)


def library(name: str) -> ModuleType:
    """A library of the extra.

    Raises:
        UserError: it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError as e:
        if e.name is not None and e.name.partition(".")[0] != name.partition(".")[0]:
            raise
        raise UserError("the service needs the 'serve' extra", "pip install 'lookhear[serve]'.") from None
