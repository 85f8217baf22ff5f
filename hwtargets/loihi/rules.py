"""Rules of a Loihi chip beyond the capacity of its cores: one function per rule.

Each yields a `Violation` for every population or projection of a network that breaks it.
"""

from collections.abc import Callable, Iterator

from hwtargets.loihi.limits import payload_bits
from snndeploy.errors import Violation
from snndeploy.ir.network import Network, Population
from snndeploy.ir.neurons import LIF, NEVER
from snndeploy.ir.synapses import Conv, Dense
from snndeploy.target import Numerics

Rule = Callable[[Network, Numerics], Iterator[Violation]]


def payload_fits(network: Network, numerics: Numerics) -> Iterator[Violation]:
    """Payloads of a source or neuron fit into the message bits of a spike."""
    for node in network.nodes.values():
        bits = payload_bits(node.low, node.high) if node.is_graded else 0
        if bits > numerics.message_bits:
            hint = "encode the input as spikes (--encode rate) or choose a chip with payloads"
            if isinstance(node, Population):
                hint = "narrow the range that the neuron sends or choose a chip with payloads"
            yield Violation(
                node=node.name,
                rule="message bits",
                have=bits,
                limit=numerics.message_bits,
                unit="payload bits",
                hint=hint,
            )


def delay_fits(network: Network, numerics: Numerics) -> Iterator[Violation]:
    """Delays stay in the range of their synapse format."""
    for projection in network.projections:
        kind = {Dense: "dense", Conv: "conv"}.get(type(projection.synapse), "sparse")
        if kind == "conv" and projection.delay:
            kind = "sparse"  # a delayed convolution is stored as listed synapses
        if projection.delay > numerics.delay_max[kind]:
            yield Violation(
                node=projection.name,
                rule=f"delay of {kind} synapses",
                have=projection.delay,
                limit=numerics.delay_max[kind],
                unit="steps",
                hint="relay the spikes through a population",
            )


def weight_fits(network: Network, numerics: Numerics) -> Iterator[Violation]:
    """Weight bits and exponents exist on the chip."""
    low, high = numerics.weight_exp
    for projection in network.projections:
        if projection.weight_bits > numerics.weight_bits:
            yield Violation(
                node=projection.name,
                rule="weight bits",
                have=projection.weight_bits,
                limit=numerics.weight_bits,
                unit="bits",
                hint=f"compile with --weight-bits {numerics.weight_bits}",
            )
        if not low <= projection.weight_exp <= high:
            yield Violation(
                node=projection.name,
                rule="weight exponent",
                have=projection.weight_exp,
                limit=low if projection.weight_exp < low else high,
                unit="bits",
                hint="rescale the layer",
            )


def neuron_is_native(network: Network, numerics: Numerics) -> Iterator[Violation]:  # noqa: ARG001 - one signature for all rules
    """Neurons are the chip's own, no microcode."""
    for population in network.populations:
        if not population.program.native:
            yield Violation(
                node=population.name,
                rule="microcode",
                have=population.n,
                limit=0,
                unit=f"{population.program.name} neurons",
                hint="use leaky integrate-and-fire neurons or a chip with microcode",
            )


def registers_fit(network: Network, numerics: Numerics) -> Iterator[Violation]:
    """Threshold, decays and bias of a leaky integrate-and-fire neuron fit their registers."""
    unity = 1 << numerics.decay_bits
    mantissa = 1 << (numerics.bias_mant_bits - 1)
    ranges = {
        "vth": (0, numerics.vth_max),
        "du": (-1, unity - 1),
        "dv": (0, unity),
        "bias_mant": (-mantissa, mantissa - 1),
        "bias_exp": (0, numerics.bias_exp_max),
    }
    for population in network.populations:
        if population.program != LIF:
            continue
        for name, (low, high) in ranges.items():
            values = population.params[name]
            smallest, largest = int(values.min()), int(values.max())
            if name == "vth" and smallest == largest == NEVER:
                continue  # stands for the largest threshold, which an integrator never exceeds
            if smallest < low or largest > high:
                yield Violation(
                    node=population.name,
                    rule=f"register {name}",
                    have=smallest if smallest < low else largest,
                    limit=low if smallest < low else high,
                    unit="register units",
                    hint="rescale the layer",
                )


LOIHI2_RULES: tuple[Rule, ...] = (payload_fits, delay_fits, weight_fits, registers_fit)
LOIHI1_RULES: tuple[Rule, ...] = (*LOIHI2_RULES, neuron_is_native)
