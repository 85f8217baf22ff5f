"""What a chip is, as data: prices and latencies; integer rules, limits and network if modelled."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import ClassVar, Literal, Self

from snndeploy.energy import EventKind, PriceTable
from snndeploy.errors import UsageError
from snndeploy.quantity import Quantity

NETWORK_UNITS: Mapping[str, str] = {
    "lanes": "lanes",
    "flits_per_message": "flits",
    "flit_time": "s",
    "lane_buffer": "flits",
    "eject_buffer": "messages",
    "interface": "s",
}
"""What a chip says of its network, and the units."""
BARRIER_FROM = "barrier_from_"
"""Start of the name of a latency of the barrier, from that many tiles on."""
POWERS = ("idle", "active", "host", "sensor")
"""Average powers that a chip may state: at rest, running one network, its host, its sensor."""


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
class Clock:
    """What a cycle of a chip is.

    Attributes:
        period: seconds per cycle.
        kind: `clock`: the chip has one; `reference`: it is asynchronous, the unit is declared.
    """

    period: Quantity
    kind: Literal["clock", "reference"]


@dataclass(frozen=True, kw_only=True, slots=True)
class PricedChip:
    """What a run costs on a chip: all that is known of one whose arithmetic is not modelled.

    Attributes:
        latencies: seconds per event kind. A chip that is priced only does one thing after the
            other, so its time is their sum; a modelled one works in parallel, see `ChipSpec`.
        other_latencies: tables by name that may stand in their place.
        prices: price tables by name; `default_prices` names the one that is used.
        not_charged: event kinds that this chip does not have, or that are inside another price,
            and why; they are not listed as missing.
        power: average powers in watts by name of `POWERS`, shown and never added to energies.
        because: why it is priced only: what is not modelled; empty for a `ChipSpec`.
    """

    name: str
    title: str
    latencies: Mapping[str, Quantity] = field(default_factory=dict)
    other_latencies: Mapping[str, Mapping[str, Quantity]] = field(default_factory=dict)
    prices: Mapping[str, PriceTable]
    default_prices: str
    not_charged: Mapping[EventKind, str] = field(default_factory=dict)
    power: Mapping[str, Quantity] = field(default_factory=dict)
    because: str = ""
    digest: str
    priced_only: ClassVar[bool] = True

    def with_prices(self, name: str) -> Self:
        """Return the chip by another of its price tables, and by its latencies of that name.

        Raises:
            UsageError: E3041, it has no such table.
        """
        if name not in self.prices:
            near = get_close_matches(name, self.prices, n=1)
            remedy = f"did you mean {near[0]!r}?" if near else f"use {', '.join(self.prices)}"
            message = f"{self.name} has no price table {name!r}"
            raise UsageError("E3041", message, where="--prices", remedy=remedy)
        latencies = self.other_latencies.get(name, self.latencies)
        return replace(self, default_prices=name, latencies=latencies)


@dataclass(frozen=True, kw_only=True, slots=True)
class ChipSpec(PricedChip):
    """A chip whose numerics, limits and topology are modelled: networks are compiled for it.

    Attributes:
        mesh: tiles in x and y; `cores_per_tile` cores on each.
        limits: per core or chip: `cores`, `neurons_per_core`, `synapse_bits_per_core`,
            `in_axons_per_core`, `out_axons_per_core`; a missing one is not public and not checked.
        latencies: seconds per event kind of one core, `axon_in` per message taken, and the barrier:
            `barrier_base` and `barrier_per_tile`, or `barrier_from_<n>` from n tiles on.
        network: of the mesh: `lanes`, `flits_per_message`, `flit_time`, `lane_buffer`,
            `eject_buffer`, `interface`; empty where nothing is known.
        clock: what a cycle is; None where the chip states none.
    """

    mesh: tuple[int, int]
    cores_per_tile: int
    numerics: Numerics
    limits: Mapping[str, Quantity]
    network: Mapping[str, Quantity] = field(default_factory=dict)
    clock: Clock | None = None
    priced_only: ClassVar[bool] = False

    def limit(self, name: str) -> int | None:
        """Return a limit as an integer, None where no public figure exists."""
        found = self.limits.get(name)
        return None if found is None else int(found.value)
