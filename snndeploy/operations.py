"""What an addition, a multiplication and a word of memory cost, for what has no chip of its own.

Two tables come with the program, both from Horowitz 2014 (45 nm): `arithmetic`, which papers on
spiking networks multiply by, and `accelerator`, integer arithmetic with its memory.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from pathlib import Path

from snndeploy.energy import OPERATIONS, Operation, Price, PriceTable
from snndeploy.quantity import Grade, TomlTable, weakest

ARITHMETIC, ACCELERATOR = "arithmetic", "accelerator"
FILE = Path(__file__).with_name("operations45.toml")
Range = tuple[float, float, float]
"""Low, nominal, high."""


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class OperationPrices:
    """Joules per operation; `name` says whose they are."""

    name: str
    prices: Mapping[str, Price]

    def energy(self, counts: Mapping[Operation, float]) -> Range:
        """Return counts x prices [J] at low, nominal and high prices."""
        low, nominal, high = (
            sum(
                count * float(getattr(self.prices[kind], end))
                for kind, count in counts.items()
                if count
            )
            for end in ("low", "nominal", "high")
        )
        return low, nominal, high

    @property
    def grade(self) -> Grade:
        """The weakest grade of a price."""
        return weakest(price.grade for price in self.prices.values())


@cache
def operation_prices(name: str) -> OperationPrices:
    """Return a table that comes with the program: `arithmetic` or `accelerator`."""
    values = tomllib.loads(FILE.read_text(), parse_float=Decimal)
    bare = TomlTable(file=FILE.name, key="", values=values)
    bare.check_keys(("name", "title", "sources", "prices"))
    named = bare.table("sources")
    sources = {key: named.text(key) for key in named.values}
    top = TomlTable(file=FILE.name, key="", values=values, sources=sources)
    table = top.table("prices").table(name)
    table.check_keys((), OPERATIONS)
    prices = {key: _read_price(table.table(key)) for key in table.values}
    return OperationPrices(name=f"{top.text('name')} {name}", prices=prices)


def accelerator_prices(table: PriceTable) -> OperationPrices:
    """Return a chip's own prices of all operations if it states them, else the program's."""
    if all(kind in table.prices for kind in OPERATIONS):
        return OperationPrices(
            name=table.name, prices={kind: table.prices[kind] for kind in OPERATIONS}
        )
    return operation_prices(ACCELERATOR)


def _read_price(table: TomlTable) -> Price:
    table.check_keys(("low", "nominal", "high", "unit", "source", "grade"))
    exponent = table.exponent("J")
    low, nominal, high = (table.number(key).scaleb(exponent) for key in ("low", "nominal", "high"))
    return Price(low=low, nominal=nominal, high=high, source=table.source(), grade=table.grade())
