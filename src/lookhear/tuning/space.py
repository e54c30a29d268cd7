"""Which keys of a recipe are searched, and between what: ``--search key=low:high[:log]`` or a TOML file."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lookhear.errors import UserError
from lookhear.recipe import Recipe, load_recipe

if TYPE_CHECKING:
    from optuna.trial import Trial

__all__ = ["Choice", "Dimension", "Range", "check_space", "parse_search", "read_space"]

FIXED = ("name", "seed", "threads", "evaluate", "data.validation", "data.test")
"""What says how trials are measured must be the same in all of them, and a seed that wins has been lucky."""


@dataclass(frozen=True)
class Range:
    """Numbers from ``low`` to ``high``, both included; whole ones where both are whole."""

    key: str
    low: float | int
    high: float | int
    log: bool = False

    @property
    def whole(self) -> bool:
        return isinstance(self.low, int) and isinstance(self.high, int)

    def suggest(self, trial: Trial) -> str:
        """The trial's value, as TOML."""
        if self.whole:
            return str(trial.suggest_int(self.key, int(self.low), int(self.high), log=self.log))
        return repr(trial.suggest_float(self.key, self.low, self.high, log=self.log))

    def ends(self) -> list[str]:
        """Values that must be right if all are."""
        return [repr(self.low), repr(self.high)]

    def holds(self, value: Any) -> Any:
        """A recipe's own value as the study writes it; None if it lies outside."""
        fits = isinstance(value, (int, float)) and not isinstance(value, bool) and self.low <= value <= self.high
        return value if fits and (not self.whole or isinstance(value, int)) else None


@dataclass(frozen=True)
class Choice:
    """One of some values, each as TOML."""

    key: str
    values: tuple[str, ...]

    def suggest(self, trial: Trial) -> str:
        return str(trial.suggest_categorical(self.key, list(self.values)))

    def ends(self) -> list[str]:
        return list(self.values)

    def holds(self, value: Any) -> Any:
        return next((text for text in self.values if _parsed(text) == value), None)


Dimension = Range | Choice


def _parsed(text: str) -> Any:
    try:
        return tomllib.loads(f"v = {text}")["v"]
    except tomllib.TOMLDecodeError:
        return text


def parse_search(text: str) -> Dimension:
    """``training.learning_rate=1e-4:1e-2:log``, ``speech.width=64:256``, or choices: ``training.batch_size=32,64``.

    Raises:
        UserError: it is none of these.
    """
    key, equals, values = text.partition("=")
    key = key.strip()
    wrong = UserError(f"--search {text!r}", "Write key=low:high, key=low:high:log or key=a,b,c.")
    if not (key and equals and values):
        raise wrong
    if ":" not in values:
        return _choice(key, [v.strip() for v in values.split(",") if v.strip()])
    parts = [p.strip() for p in values.split(":")]
    if len(parts) not in (2, 3) or (len(parts) == 3 and parts[2] != "log"):
        raise wrong
    low, high = map(_parsed, parts[:2])
    return _range(key, low, high, len(parts) == 3)


def read_space(path: Path) -> list[Dimension]:
    """A TOML file: ``key = { low = 1e-4, high = 1e-2, log = true }`` or ``key = [32, 64]``, in sections if you like.

    Raises:
        UserError: no such file, no TOML, or a key that is neither.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as e:
        raise UserError(f"{path}: no readable search space ({e.strerror})", "Give a TOML file.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as e:
        raise UserError(f"{path}: not TOML ({e})", "Mend the line it names.") from None
    return list(_flat(values, "", path))


def _flat(values: Mapping[str, Any], above: str, path: Path) -> Iterable[Dimension]:
    for name, value in values.items():
        key = f"{above}{name}"
        if isinstance(value, list):
            yield _choice(key, [json.dumps(v, ensure_ascii=False) for v in value])
        elif isinstance(value, Mapping) and {"low", "high"} <= value.keys() <= {"low", "high", "log"}:
            yield _range(key, value["low"], value["high"], bool(value.get("log", False)))
        elif isinstance(value, Mapping) and not {"low", "high"} & value.keys():
            yield from _flat(value, f"{key}.", path)
        else:
            raise UserError(f"{path}: {key}", "Write { low = …, high = … } (and log = true), or a list of choices.")


def _range(key: str, low: Any, high: Any, log: bool) -> Range:
    if any(isinstance(v, bool) or not isinstance(v, (int, float)) for v in (low, high)):
        raise UserError(f"search {key}: {low!r} to {high!r} are no numbers", "Write two numbers, or choices a,b,c.")
    if not low < high:
        raise UserError(f"search {key}: {low} is not below {high}", "Write the lower end first.")
    if log and low <= 0:
        raise UserError(f"search {key}: no logarithm of {low}", "Begin above 0, or leave 'log' out.")
    return Range(key, low, high, log)


def _choice(key: str, values: Sequence[str]) -> Choice:
    if len(set(values)) < 2:
        raise UserError(f"search {key}: nothing to choose from", "Write key=low:high or several values, key=a,b,c.")
    return Choice(key, tuple(dict.fromkeys(values)))


def check_space(space: Sequence[Dimension], recipe: str, changes: Sequence[str]) -> Recipe:
    """The recipe itself, after every end of every range, and every choice, was tried on it.

    Raises:
        UserError: nothing to search, a key twice, unknown, not to be searched, or values that the recipe refuses.
    """
    resolved = load_recipe(recipe, changes)
    if not space:
        raise UserError("nothing to search", "Name keys with --search key=low:high or --space FILE.")
    seen: set[str] = set()
    for dimension in space:
        key = dimension.key
        if key in seen:
            raise UserError(f"search {key}: given twice", "Give each key once.")
        seen.add(key)
        if any(key == fixed or key.startswith(f"{fixed}.") for fixed in FIXED):
            raise UserError(f"search {key}: it must be the same in all trials", "Set it for all with --set.")
        for text in dimension.ends():
            load_recipe(recipe, [*changes, f"{key}={text}"])
    return resolved
