"""What a chip is, as data, and the two seams through which targets and executors plug in."""

import hashlib
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, Protocol

from snndeploy.energy import EVENT_KINDS, EventCounts, Price, PriceTable, Timing
from snndeploy.errors import ModelError, Violation
from snndeploy.ir.arrays import IntArray
from snndeploy.ir.network import Network
from snndeploy.ir.placement import Placement
from snndeploy.ir.trace import PopulationTrace
from snndeploy.quantity import Grade as Grade
from snndeploy.quantity import Quantity as Quantity
from snndeploy.quantity import TomlTable


@dataclass(frozen=True, kw_only=True, slots=True)
class Numerics:
    """Integer rules of a chip; register ranges are inclusive.

    Attributes:
        weight_bits: stored bits per weight; mixed signs use the even grid -256..254.
        weight_exp: smallest and largest exponent of a dense or sparse projection.
        conv_weight_exp: whether convolutions have that exponent too.
        decay_bits: du and dv are 0 .. 2^bits - 1 over 2^bits.
        vth_max: largest threshold register.
        bias_mant_bits: signed mantissa; `bias_exp_max`: largest exponent.
        state_bits: width of u and v; u wraps, v clips.
        act_shift: fraction bits of u and v below the weight grid.
        message_bits: payload bits of a spike, 0 for binary spikes only.
        reset: `neuron`: each population at its own step; `host`: the host clears all state.
        delay_max: largest delay by synapse format (dense, sparse, conv).
    """

    weight_bits: int
    weight_exp: tuple[int, int]
    conv_weight_exp: bool
    decay_bits: int
    vth_max: int
    bias_mant_bits: int
    bias_exp_max: int
    state_bits: int
    act_shift: int
    message_bits: int
    reset: Literal["neuron", "host"]
    delay_max: Mapping[str, int]


@dataclass(frozen=True, kw_only=True, slots=True)
class ChipSpec:
    """A chip: limits, numerics, cycle costs and prices. Loaded from TOML, unknown keys are errors.

    Attributes:
        mesh: tiles in x and y; `cores_per_tile` cores on each.
        limits: per core or chip: `cores`, `neurons_per_core`, `synapse_bits_per_core`,
            `in_axons_per_core`, `out_axons_per_core`; a missing one is not public and not checked.
        latencies: seconds per event kind, and `barrier_base`, `barrier_per_tile`.
        prices: price tables by name; `default_prices` names one.
    """

    name: str
    title: str
    mesh: tuple[int, int]
    cores_per_tile: int
    numerics: Numerics
    limits: Mapping[str, Quantity]
    latencies: Mapping[str, Quantity]
    prices: Mapping[str, PriceTable]
    default_prices: str
    digest: str

    def limit(self, name: str) -> int | None:
        """Return a limit as an integer, None where no public figure exists."""
        found = self.limits.get(name)
        return None if found is None else int(found.value)


LIMIT_UNITS: Mapping[str, str] = {
    "cores": "cores",
    "neurons_per_core": "neurons",
    "synapse_bits_per_core": "bits",
    "in_axons_per_core": "axons",
    "out_axons_per_core": "axons",
}
NUMERICS_UNITS: Mapping[str, str] = {
    "weight_bits": "bits",
    "weight_exp_min": "bits",
    "weight_exp_max": "bits",
    "conv_weight_exp": "bool",
    "decay_bits": "bits",
    "vth_max": "threshold units",
    "bias_mant_bits": "bits",
    "bias_exp_max": "bits",
    "state_bits": "bits",
    "act_shift": "bits",
    "message_bits": "bits",
    "reset": "word",
    "delay_max_dense": "steps",
    "delay_max_sparse": "steps",
    "delay_max_conv": "steps",
}
_FACTS = ("unit", "source", "grade")
_TABLES = ("name", "title", "default_prices", "sources", "mesh", "limits", "numerics")


def load_chip(path: Path) -> ChipSpec:
    """Read a chip from TOML; energies become joules, times seconds, powers watts, exactly.

    Raises:
        ModelError: E1101 unreadable or not TOML, E1102 unknown key (with the nearest valid one),
            E1103 missing key, E1104 wrong unit, E1105 bad value (wrong type, not finite, negative,
            low > nominal or nominal > high), E1106 unknown source, E1107 unknown grade.
    """
    try:
        data = path.read_bytes()
        values = tomllib.loads(data.decode(), parse_float=Decimal)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        remedy = "pass a readable TOML file"
        raise ModelError("E1101", str(error), where=str(path), remedy=remedy) from error
    bare = TomlTable(file=path.name, key="", values=values)
    bare.check_keys((*_TABLES, "latencies", "prices"))
    named = bare.table("sources")
    sources = {key: named.text(key) for key in named.values}
    top = TomlTable(file=path.name, key="", values=values, sources=sources)
    mesh = _read_mesh(top.table("mesh"))
    prices = {key: _read_prices(top.table("prices").table(key)) for key in values["prices"]}
    if top.text("default_prices") not in prices:
        message = f"no table prices.{top.text('default_prices')}"
        raise top.error("E1105", "default_prices", message, f"use {', '.join(prices)}")
    return ChipSpec(
        name=top.text("name"),
        title=top.text("title"),
        mesh=(mesh["x"], mesh["y"]),
        cores_per_tile=mesh["cores_per_tile"],
        numerics=_read_numerics(top.table("numerics")),
        limits=_read_limits(top.table("limits")),
        latencies=_read_latencies(top.table("latencies")),
        prices=prices,
        default_prices=top.text("default_prices"),
        digest=hashlib.sha256(data).hexdigest(),
    )


def _count(table: TomlTable, unit: str) -> Quantity:
    table.check_keys(("value", *_FACTS))
    table.check_unit(unit)
    value = table.number("value")
    if value != int(value) or value <= 0:
        raise table.error("E1105", "value", f"is {value}, must be a positive integer")
    return Quantity(value=value, unit=unit, source=table.source(), grade=table.grade())


def _read_mesh(table: TomlTable) -> dict[str, int]:
    units = {"x": "tiles", "y": "tiles", "cores_per_tile": "cores"}
    table.check_keys(units)
    return {key: int(_count(table.table(key), unit).value) for key, unit in units.items()}


def _read_limits(table: TomlTable) -> dict[str, Quantity]:
    table.check_keys(("cores",), LIMIT_UNITS)
    return {key: _count(table.table(key), LIMIT_UNITS[key]) for key in table.values}


def _read_latencies(table: TomlTable) -> dict[str, Quantity]:
    table.check_keys((), (*EVENT_KINDS, "barrier_base", "barrier_per_tile"))
    found = {}
    for key in table.values:
        entry = table.table(key)
        entry.check_keys(("value", *_FACTS))
        value = entry.non_negative("value").scaleb(entry.exponent("s"))
        found[key] = Quantity(value=value, unit="s", source=entry.source(), grade=entry.grade())
    return found


def _read_prices(table: TomlTable) -> PriceTable:
    table.check_keys((), (*EVENT_KINDS, "static"))
    prices = {
        key: _read_price(table.table(key), "W" if key == "static" else "J") for key in table.values
    }
    static = prices.pop("static", None)
    return PriceTable(name=table.key.removeprefix("prices."), prices=prices, static_w=static)


def _read_price(table: TomlTable, si_unit: str) -> Price:
    table.check_keys(("low", "nominal", "high", *_FACTS))
    exponent = table.exponent(si_unit)
    low, nominal, high = (
        table.non_negative(key).scaleb(exponent) for key in ("low", "nominal", "high")
    )
    if not low <= nominal <= high:
        raise table.error("E1105", "nominal", "must lie between low and high")
    return Price(low=low, nominal=nominal, high=high, source=table.source(), grade=table.grade())


def _read_numerics(table: TomlTable) -> Numerics:
    table.check_keys(NUMERICS_UNITS)
    found = {key: _read_rule(table.table(key), unit) for key, unit in NUMERICS_UNITS.items()}
    low, high = found.pop("weight_exp_min"), found.pop("weight_exp_max")
    delays = {key: found.pop(f"delay_max_{key}") for key in ("dense", "sparse", "conv")}
    return Numerics(weight_exp=(low, high), delay_max=delays, **found)


def _read_rule(table: TomlTable, unit: str) -> Any:
    """Return an integer, a boolean (unit `bool`) or `neuron` / `host` (unit `word`)."""
    table.check_keys(("value", *_FACTS))
    table.check_unit(unit)
    table.source()
    table.grade()
    value = table.values["value"]
    allowed = (True, False) if unit == "bool" else ("neuron", "host")
    if unit in ("bool", "word"):
        if value not in allowed or (unit == "bool") != isinstance(value, bool):
            raise table.error("E1105", "value", f"is {value!r}, must be one of {allowed}")
        return value
    number = table.number("value")
    if number != int(number):
        raise table.error("E1105", "value", f"is {number}, must be an integer")
    return int(number)


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class RunResult:
    """What an executor answers: traces of the recorded populations; the simulator adds the rest."""

    executor: str
    traces: Mapping[str, PopulationTrace]
    counts: EventCounts | None = None
    timing: Timing | None = None
    overflows: Mapping[str, int] = field(default_factory=dict)


Progress = Callable[[int, int], None]
"""Called with (done, total) while an executor works."""


def no_progress(done: int, total: int) -> None:
    """Ignore progress."""


class Executor(Protocol):
    """Anything that runs a `Network`; found through the entry-point group `snndeploy.executors`."""

    name: str

    def missing(self) -> str | None:
        """Return None if it can run here, else one line: what is missing and how to get it."""
        ...

    def run(
        self,
        network: Network,
        inputs: Mapping[str, IntArray],
        *,
        record: tuple[str, ...],
        placement: Placement | None = None,
        chip: ChipSpec | None = None,
        progress: Progress = no_progress,
    ) -> RunResult:
        """Stream samples back to back and return the traces of the populations in `record`.

        Args:
            network: verified integer network.
            inputs: integers [P, B, *shape] per source.
            record: populations whose spikes and states are returned.
            placement: needed for counts and timing.
            chip: needed for timing.
            progress: called with samples done and total.

        Raises:
            TargetError: a tool is missing, timed out or failed.
        """
        ...


class Target(Protocol):
    """A chip with its toolchain; found through the entry-point group `snndeploy.targets`."""

    name: str
    chip: ChipSpec
    executor: str
    """Name of the executor that is this chip's own toolchain, empty if it has none here."""

    def check(self, network: Network) -> tuple[Violation, ...]:
        """Return every rule of this target that the network breaks, beyond core capacities."""
        ...

    def bundle_files(self, network: Network, placement: Placement) -> dict[str, bytes]:
        """Return the files, by relative path, that the owner of this chip needs to run it."""
        ...
