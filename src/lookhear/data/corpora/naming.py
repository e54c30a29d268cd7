"""Naming patterns: what the path of a file says, such as ``{speaker}/{group}_{take}.wav``."""

from __future__ import annotations

import re
import unicodedata

from lookhear.errors import UserError

__all__ = ["Naming"]

_TOKEN = re.compile(r"(?P<field>\{[^{}]*\})|(?P<deep>\*\*/)|(?P<any>\*\*)|(?P<star>\*)|(?P<plain>[^*{}]+)|(?P<brace>.)")
_ENDING = re.compile(r"\.[A-Za-z0-9]+$")
_NAMED_ENDING = re.compile(r"\.\{[^{}]*\}$")


class Naming:
    """A pattern that relative paths are matched to.

    ``{name}`` stands for characters other than ``/``, at least one and as many as can be; where a name comes again it
    stands for the same. ``*`` stands for any number of characters other than ``/``, ``**`` for any at all, ``**/`` for
    any number of folders. Upper and lower case of the ending are one; a pattern without an ending, or with ``.*``,
    matches files of any.

    Attributes:
        fields: the names, in order.

    Raises:
        UserError: braces that do not pair, a name that is none, two fields with nothing between them, or a path that
            does not start inside the folder.
    """

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        text = unicodedata.normalize("NFC", pattern).removeprefix("./")
        if not text or text.startswith("/") or ".." in text.split("/"):
            raise UserError(f"pattern {pattern!r} is not of paths inside the folder", "Write it as {speaker}/{id}.wav.")
        ending = _ENDING.search(text)
        if ending:
            body, last = text[: ending.start()], f"(?i:{re.escape(ending.group())})"
        else:
            body, last = text.removesuffix(".*"), "" if _NAMED_ENDING.search(text) else r"\.[^./]+"
        names: list[str] = []
        self._regex = re.compile("".join(self._part(m, names) for m in _TOKEN.finditer(body)) + last, re.DOTALL)
        if re.search(r"\}\{", body):
            raise UserError(f"pattern {pattern!r}: two fields with nothing between them", "Say what parts them.")
        self.fields = tuple(dict.fromkeys(names))

    def _part(self, token: re.Match[str], names: list[str]) -> str:
        kind, text = token.lastgroup, token.group()
        if kind == "field":
            name = text[1:-1]
            if not name.isidentifier():
                raise UserError(f"pattern {self.pattern!r}: {text} is no field", "Name fields in letters: {speaker}.")
            again = name in names
            names.append(name)
            place = f"f{names.index(name)}"  # not by name: those of a regular expression may be of fewer characters
            return f"(?P={place})" if again else f"(?P<{place}>[^/]+)"
        if kind == "brace":
            raise UserError(f"pattern {self.pattern!r}: a {text} without its pair", "Write fields as {speaker}.")
        if kind == "plain":
            return re.escape(text)
        return {"deep": "(?:.*/)?", "any": ".*", "star": "[^/]*"}[str(kind)]

    def match(self, path: str) -> dict[str, str] | None:
        """What the fields stand for in a path; None where it does not match."""
        found = self._regex.fullmatch(unicodedata.normalize("NFC", path))
        if found is None:
            return None
        return dict(zip(self.fields, found.groups()))
