"""Numbers of the hardware: value, unit, source and grade, and the one way they enter from TOML.

What goes in: tables of a TOML file read with decimal numbers. What comes out: values in SI units.
Everything that is not exactly as it should be is an error that names file, key and remedy.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from difflib import get_close_matches
from typing import Any, Literal, get_args

from snndeploy.errors import ModelError

Grade = Literal["measured", "published", "fitted", "assumed"]
GRADES: tuple[Grade, ...] = get_args(Grade)
"""From the best to the weakest."""

SCALES: Mapping[str, Mapping[str, int]] = {
    "J": {"J": 0, "nJ": -9, "pJ": -12},
    "s": {"s": 0, "us": -6, "ns": -9},
    "W": {"W": 0, "mW": -3, "uW": -6},
}
"""Decimal exponent of every unit a file may use, by the SI unit the program uses."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Quantity:
    """A number of the hardware: value, unit, where it is from, how good it is."""

    value: Decimal
    unit: str
    source: str
    grade: Grade


def weakest(grades: Iterable[Grade]) -> Grade:
    """Return the weakest of some grades; `measured` if there are none."""
    return GRADES[max((GRADES.index(grade) for grade in grades), default=0)]


@dataclass(frozen=True, kw_only=True, slots=True)
class TomlTable:
    """One table of a TOML file, its place in it, and the file's sources."""

    file: str
    key: str
    values: Mapping[str, Any]
    sources: Mapping[str, str] = field(default_factory=dict)

    def error(self, code: str, key: str, message: str, remedy: str = "") -> ModelError:
        """Return an error about one key of this table."""
        path = ".".join(part for part in (self.key, key) if part)
        return ModelError(code, message, where=f"{self.file}, {path or 'top level'}", remedy=remedy)

    def check_keys(self, required: Iterable[str], optional: Iterable[str] = ()) -> None:
        """Raise E1102 for a key that is not allowed, E1103 for one that is missing."""
        required = tuple(required)
        allowed = (*required, *optional)
        for key in self.values:
            if key not in allowed:
                raise self.error("E1102", key, f"unknown key {key!r}", _nearest(key, allowed))
        for key in required:
            if key not in self.values:
                raise self.error("E1103", key, f"missing key {key!r}", f"add {key}")

    def table(self, key: str) -> "TomlTable":
        """Return a sub-table; raise E1105 if it is something else."""
        values = self.values[key]
        if not isinstance(values, dict):
            raise self.error("E1105", key, f"is {values!r}, must be a table")
        path = ".".join(part for part in (self.key, key) if part)
        return TomlTable(file=self.file, key=path, values=values, sources=self.sources)

    def text(self, key: str) -> str:
        """Return a string; raise E1105 if it is something else or empty."""
        value = self.values[key]
        if not isinstance(value, str) or not value:
            raise self.error("E1105", key, f"is {value!r}, must be a text")
        return value

    def number(self, key: str) -> Decimal:
        """Return a finite number as written; raise E1105 for anything else."""
        value = self.values[key]
        if isinstance(value, bool) or not isinstance(value, int | Decimal):
            raise self.error("E1105", key, f"is {value!r}, must be a number")
        if not Decimal(value).is_finite():
            raise self.error("E1105", key, f"is {value}, must be finite")
        return Decimal(value)

    def non_negative(self, key: str) -> Decimal:
        """Return a finite number that is not negative; raise E1105 for anything else."""
        value = self.number(key)
        if value < 0:
            raise self.error("E1105", key, f"is {value}, must not be negative")
        return value

    def exponent(self, si_unit: str) -> int:
        """Return the decimal exponent of this table's `unit`; raise E1104 if it is another kind."""
        unit, allowed = self.text("unit"), SCALES[si_unit]
        if unit not in allowed:
            raise self.error("E1104", "unit", f"unit {unit!r}", f"use {', '.join(allowed)}")
        return allowed[unit]

    def check_unit(self, expected: str) -> None:
        """Raise E1104 if this table's `unit` is not the expected one."""
        if self.text("unit") != expected:
            message = f"unit {self.text('unit')!r}, must be {expected!r}"
            raise self.error("E1104", "unit", message, f"write unit = {expected!r}")

    def source(self) -> str:
        """Return the citation that `source` stands for; raise E1106 for an unknown one."""
        name, _, detail = self.text("source").partition(":")
        if name not in self.sources:
            hint = _nearest(name, tuple(self.sources))
            raise self.error("E1106", "source", f"unknown source {name!r}", hint)
        return f"{self.sources[name]}: {detail.strip()}" if detail else self.sources[name]

    def grade(self) -> Grade:
        """Return the grade; raise E1107 for an unknown one."""
        for grade in GRADES:
            if self.values["grade"] == grade:
                return grade
        message = f"unknown grade {self.values['grade']!r}"
        raise self.error("E1107", "grade", message, f"use {', '.join(GRADES)}")


def _nearest(key: str, allowed: tuple[str, ...]) -> str:
    near = get_close_matches(key, allowed, n=1, cutoff=0)
    return f"did you mean {near[0]!r}?" if near else "remove it"
