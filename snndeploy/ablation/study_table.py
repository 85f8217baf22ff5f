"""One table of a study file: every value is asked for with its kind, and is an error otherwise."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from snndeploy.errors import ModelError


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """One table of the file, and its place in it."""

    file: str
    key: str
    values: Mapping[str, Any]

    def error(self, code: str, key: str, message: str, remedy: str) -> ModelError:
        """Return an error about one key of this table."""
        path = ".".join(part for part in (self.key, key) if part)
        return ModelError(code, message, where=f"{self.file}, {path}", remedy=remedy)

    def check_keys(self, required: Iterable[str], optional: Iterable[str] = ()) -> None:
        """Raise E1301 for a key that is not allowed, E1302 for one that is missing."""
        required = tuple(required)
        allowed = (*required, *optional)
        for key in self.values:
            if key not in allowed:
                near = get_close_matches(key, allowed, n=1, cutoff=0.4)
                hint = f"did you mean {near[0]!r}?" if near else f"use {', '.join(allowed)}"
                raise self.error("E1301", key, f"unknown key {key!r}", hint)
        for key in required:
            if key not in self.values:
                raise self.error("E1302", key, f"missing key {key!r}", f"add {key}")

    def table(self, key: str) -> "Table":
        """Return a sub-table, empty if it is not there; raise E1303 if it is something else."""
        values = self.values.get(key, {})
        if not isinstance(values, dict):
            raise self.bad(key, values, "a table")
        path = ".".join(part for part in (self.key, key) if part)
        return Table(file=self.file, key=path, values=values)

    def bad(self, key: str, value: Any, allowed: str) -> ModelError:
        """Return E1303."""
        return self.error("E1303", key, f"is {value!r}", f"use {allowed}")

    def text(self, key: str, default: str | None = None) -> str:
        """Return a text; raise E1303 if it is something else or empty."""
        value = self.values.get(key, default)
        if not isinstance(value, str) or not value:
            raise self.bad(key, value, "a text")
        return value

    def word(self, key: str, allowed: tuple[str, ...], default: str) -> str:
        """Return one of some words; raise E1303 for any other."""
        value = self.values.get(key, default)
        if value not in allowed:
            raise self.bad(key, value, _words(value, allowed))
        return str(value)

    def whole(self, key: str, default: int, *, least: int, most: int | None = None) -> int:
        """Return a whole number in a range; raise E1303 for anything else."""
        value = self.values.get(key, default)
        beyond = most is not None and is_whole(value) and value > most
        if not is_whole(value) or value < least or beyond:
            upto = "" if most is None else f" to {most}"
            raise self.bad(key, value, f"a whole number, {least}{upto or ' or more'}")
        return int(value)

    def positive(self, key: str, default: float) -> float:
        """Return a finite number above 0; raise E1303 for anything else."""
        value = self.values.get(key, default)
        if not is_number(value) or not 0 < value < float("inf"):
            raise self.bad(key, value, "a number above 0")
        return float(value)

    def levels(
        self, key: str, default: list[Any], check: Callable[[Any], bool], allowed: str
    ) -> tuple[Any, ...]:
        """Return a list of different levels; raise E1303 for an empty list or a wrong level."""
        values = self.values.get(key, default)
        if not isinstance(values, list) or not values:
            raise self.bad(key, values, f"a list of {allowed}")
        for value in values:
            if not check(value):
                raise self.bad(key, value, allowed)
        if len(set(values)) != len(values):
            raise self.error("E1303", key, f"{values} has a level twice", "list every level once")
        return tuple(values)


def is_whole(value: Any) -> bool:
    """Return whether a value of TOML is a whole number."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value: Any) -> bool:
    """Return whether a value of TOML is a number."""
    return is_whole(value) or isinstance(value, float)


def _words(value: Any, allowed: tuple[str, ...]) -> str:
    near = get_close_matches(str(value), allowed, n=1)
    return f"{', '.join(allowed)}" + (f" (did you mean {near[0]!r}?)" if near else "")
