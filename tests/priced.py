"""A measured run on chips whose every number stands here, so that chip files may change."""

from dataclasses import replace
from decimal import Decimal
from types import SimpleNamespace

from deployed import small_compiled, small_samples

from snndeploy.duty import Use
from snndeploy.energy import Price, PriceTable
from snndeploy.estimation import estimate_of
from snndeploy.measured import measure
from snndeploy.quantity import Quantity
from snndeploy.target import PricedChip, PricedTarget


def price(nominal, *, low=None, high=None, grade="published", source="a table"):
    return Price(
        low=Decimal(low or nominal), nominal=Decimal(nominal), high=Decimal(high or nominal),
        source=source, grade=grade,
    )  # fmt: skip


def latency(nanoseconds):
    value = Decimal(nanoseconds).scaleb(-9)
    return Quantity(value=value, unit="s", source="a table", grade="fitted")


TABLE = PriceTable(
    name="prices2020",
    prices={
        "synaptic_op": price("20e-12", high="30e-12"),
        "neuron_active": price("80e-12", low="70e-12"),
        "message": price("2e-12", grade="fitted", source="a fit"),
    },
    static_w=price("0.05", grade="measured", source="a board"),
)
LATENCIES = {
    "synaptic_op": latency(4), "neuron_idle": latency(5), "neuron_active": latency(8),
    "message": latency(2), "barrier_base": latency(100), "barrier_per_tile": latency(10),
}  # fmt: skip
OTHER = PriceTable(name="paper", prices={"synaptic_op": price("5e-12")}, static_w=None)


def priced_only():
    """Return a target of which one price is known."""
    chip = PricedChip(
        name="other", title="Another chip", prices={"paper": OTHER}, default_prices="paper",
        because="its arithmetic is not modelled", digest="",
    )  # fmt: skip
    return PricedTarget(chip=chip)


def estimates(*, name="hidden", use=None):
    """Return one run on a modelled chip, and on one that is priced only."""
    compiled = small_compiled(name=name)
    chip = replace(
        compiled.target.chip, title="A chip", prices={"prices2020": TABLE},
        default_prices="prices2020", latencies=LATENCIES, network={}, clock=None, power={},
    )  # fmt: skip
    target = SimpleNamespace(name="loihi2", chip=chip)
    run = measure(replace(compiled, target=target), small_samples(12, seed=5))
    return [estimate_of(run, use=use), estimate_of(run, chip=priced_only().chip, use=use)]


USE = Use(rate_hz=100.0, sensor_w=0.005, battery_j=13320.0)
