"""The lava-dl export: a network as a `.net` file, weights bit for bit.

`netx` reads strictly sequential networks of its layers and writes weights to Lava in its own way:
it shifts a matrix to fill 8 bits and leaves the sign mode to Lava, which sees another one where no
weight is positive. What would change on that way is found by going it (`kept_by_netx`) and refused.

Layout: lava-dl 0.6.0, lava/lib/dl/netx/hdf5.py. `input` without a neuron makes no process and
only gives the image's size; `conv` and `dense` are one projection and its population; `flatten`
stands between an image and a `dense`.
"""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np

from snndeploy.errors import UnsupportedError
from snndeploy.ir.arrays import IntArray
from snndeploy.ir.network import Network, Population, Projection, Source
from snndeploy.ir.neurons import ACT_SHIFT, LIF
from snndeploy.ir.ranges import arriving_bounds
from snndeploy.ir.synapses import Conv, Dense, OneToOne, Pool, Sparse

BIAS_EXP = 6
"""netx adds biases with this exponent."""
BIAS_RANGE = (-4096, 4095)
CONV_WORD = 1 << 23
"""Lava's convolutions wrap at 24 bits."""
MOST_GROUPS = 127
MOST_CELLS = 1 << 26
"""Largest matrix that a list of synapses is written as."""
Image = tuple[int, int, int]


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Layer:
    """One group of the file: datasets by name, and those of its neuron."""

    values: dict[str, Any]
    neuron: dict[str, Any]


def netx_file(network: Network) -> tuple[bytes, tuple[str, ...]]:
    """Return a network as a `.net` file, and what the file does not say.

    Raises:
        UnsupportedError: E2410 not sequential, E2411 a neuron, E2412 a layer, E2413 a bias, or
            E2414 weights that netx would change.
    """
    source, chain = sequence(network)
    buffer = io.BytesIO()
    layers = list(_layers(source, chain))
    with h5py.File(buffer, "w") as file:
        root = file.create_group("layer")
        for index, layer in enumerate(layers):
            group = root.create_group(str(index))
            for name, value in layer.values.items():
                group.create_dataset(name, data=value)
            for name, value in layer.neuron.items():
                group.require_group("neuron").create_dataset(name, data=value)
        facts = file.create_group("snndeploy")
        facts.create_dataset("steps", data=network.steps)
        facts.create_dataset("low", data=source.low)
        facts.create_dataset("high", data=source.high)
        facts.create_dataset("shape", data=source.shape)
        facts.create_dataset("encoding", data=np.bytes_(source.encoding))
        facts.create_dataset("scale", data=source.scale)
        facts.create_dataset("repeat", data=int(source.repeat))
    return buffer.getvalue(), tuple(_notes(network, source))


def sequence(network: Network) -> tuple[Source, tuple[tuple[Projection, Population], ...]]:
    """Return the input, and projection by projection what follows it.

    Raises:
        UnsupportedError: E2410, it is no chain.
    """
    if len(network.sources) != 1:
        names = ", ".join(source.name for source in network.sources)
        raise _not_sequential(network.name, f"inputs {names}; netx has one")
    (source,) = network.sources
    name, chain = source.name, []
    while True:
        out = network.out_of(name)
        if not out:
            break
        if len(out) > 1:
            raise _not_sequential(name, f"it feeds {', '.join(p.target for p in out)}")
        (projection,) = out
        if projection.lag or projection.delay or len(network.into(projection.target)) > 1:
            raise _not_sequential(projection.name, "branches, delays or loops meet")
        chain.append((projection, network.population[projection.target]))
        name = projection.target
    if len(chain) < len(network.populations) or any(o.population != name for o in network.outputs):
        raise _not_sequential(network.name, "an output that is not the last layer")
    return source, tuple(chain)


def _layers(source: Source, chain: tuple[tuple[Projection, Population], ...]) -> Iterator[Layer]:
    shape: tuple[int, ...] = source.shape
    kind = np.array([b"input"], dtype="S10")
    yield Layer(values={"type": kind, "shape": np.array(shape)}, neuron={})
    low, high = source.low, source.high
    for projection, population in chain:
        neuron = _neuron(population)
        if isinstance(projection.synapse, Conv | Pool):
            layer, shape = _conv(projection, shape, low, high), projection.synapse.out_shape
        else:
            if len(shape) > 1:
                yield Layer(values={"type": np.array([b"flatten"], dtype="S10")}, neuron={})
            layer, shape = _dense(projection), (population.n,)
        bias = _bias(population, shape)
        yield Layer(values={**layer, **bias}, neuron=neuron)
        low, high = population.low, population.high


def _neuron(population: Population) -> dict[str, Any]:
    """Return a population's neuron group."""
    if population.program != LIF:
        raise UnsupportedError(
            "E2411", f"neurons of program {population.program.name}", where=population.name,
            remedy="current-based integrate-and-fire neurons that reset to 0 are written",
        )  # fmt: skip
    for name in ("du", "dv", "vth"):
        if len(population.params[name]) > 1:
            raise UnsupportedError(
                "E2411", f"{name} differs between its neurons", where=population.name,
                remedy="netx has one value per layer",
            )  # fmt: skip
    return {
        "type": np.array([b"CUBA"], dtype="S10"),
        "iDecay": population.scalar("du") + 1,
        "vDecay": population.scalar("dv"),
        "vThMant": population.scalar("vth"),
        "refDelay": 1,
        "gradedSpike": False,
    }


def _bias(population: Population, shape: tuple[int, ...]) -> dict[str, IntArray]:
    """Return a layer's bias in units of 2^BIAS_EXP, in the order of its neurons in Lava."""
    bias = population.params["bias_mant"] << population.params["bias_exp"]
    if not bias.any():
        return {}
    mantissa = bias >> BIAS_EXP
    off = int(np.count_nonzero(mantissa << BIAS_EXP != bias))
    low, high = BIAS_RANGE
    if off or mantissa.min() < low or mantissa.max() > high:
        what = f"{off} biases are no multiples" if off else "biases are beyond 13 bits"
        raise UnsupportedError(
            "E2413", f"{what} of {1 << BIAS_EXP} (netx's only unit)", where=population.name,
            remedy="train without bias, or export onnx or nir",
        )  # fmt: skip
    every = np.broadcast_to(mantissa, (population.n,)).reshape(shape)
    return {"bias": np.ascontiguousarray(every.transpose(range(every.ndim)[::-1]))}


def _dense(projection: Projection) -> dict[str, Any]:
    weight = _effective(projection, _matrix(projection))
    kept = kept_by_netx(weight)
    if kept is None or not np.array_equal(kept, weight):
        raise UnsupportedError(
            "E2414",
            f"netx would change weights {weight.min()}..{weight.max()}: {_why(weight)}",
            where=projection.name,
            remedy="export onnx or nir",
        )
    return {
        "type": np.array([b"dense"], dtype="S10"),
        "shape": np.array([len(weight)]),
        "inFeatures": weight.shape[1],
        "outFeatures": len(weight),
        "weight": weight.astype(np.float32),
    }


def _matrix(projection: Projection) -> IntArray:
    """Return a projection's weights as a matrix [n_out, n_in]."""
    synapse = projection.synapse
    match synapse:
        case Dense(weight=weight):
            return weight
        case OneToOne(weight=weight):
            targets = sources = np.arange(len(weight))
        case Sparse(weight=weight):
            targets, sources = synapse.rows, synapse.indices
        case _:
            raise AssertionError(type(synapse))
    if synapse.n_in * synapse.n_out > MOST_CELLS:
        raise UnsupportedError(
            "E2412", f"a list of synapses that as a matrix takes {synapse.n_in * synapse.n_out:,}",
            where=projection.name, remedy="export onnx",
        )  # fmt: skip
    matrix = np.zeros((synapse.n_out, synapse.n_in), dtype=np.int64)
    matrix[targets, sources] = weight
    return matrix


def _conv(projection: Projection, shape: tuple[int, ...], low: int, high: int) -> dict[str, Any]:
    """Return a convolution or a pool, which is a convolution channel by channel."""
    synapse = projection.synapse
    conv = synapse.as_conv if isinstance(synapse, Pool) else synapse
    assert isinstance(conv, Conv)
    small = (*conv.weight.shape[2:], *conv.stride, *conv.padding, *conv.dilation, conv.groups)
    if shape != conv.in_shape or max(small) > MOST_GROUPS:
        what = (
            f"an image of {conv.in_shape} from {shape}"
            if shape != conv.in_shape
            else (f"a convolution of settings beyond {MOST_GROUPS}")
        )
        raise UnsupportedError("E2412", what, where=projection.name, remedy="export onnx or nir")
    weight = _effective(projection, conv.weight)
    floor, ceiling = arriving_bounds(conv, low, high)
    most = max(-int(floor.min(initial=0)), int(ceiling.max(initial=0)))
    if most << max(projection.weight_exp, 0) >= CONV_WORD:
        raise UnsupportedError(
            "E2414", f"its sums may reach {most:,}; Lava's convolutions wrap at {CONV_WORD:,}",
            where=projection.name, remedy="use fewer input bits",
        )  # fmt: skip
    return {
        "type": np.array([b"conv"], dtype="S10"),
        "shape": np.array(conv.out_shape),
        "inChannels": conv.in_shape[0],
        "outChannels": conv.out_shape[0],
        "kernelSize": np.array(conv.weight.shape[2:]),
        "weight": weight.astype(np.float32),
        "stride": np.array(conv.stride),
        "padding": np.array(conv.padding),
        "dilation": np.array(conv.dilation),
        "groups": conv.groups,
    }


def _effective(projection: Projection, weight: IntArray) -> IntArray:
    """Return weights with their exponent, which a `.net` file does not have."""
    exponent = projection.weight_exp
    if exponent >= 0:
        return weight << exponent
    smaller = weight >> -exponent
    if not np.array_equal(smaller << -exponent, weight):
        raise UnsupportedError(
            "E2414", f"weight exponent {exponent} and weights that are no multiples",
            where=projection.name, remedy="export onnx or nir",
        )  # fmt: skip
    return smaller


def kept_by_netx(weight: IntArray) -> IntArray | None:
    """Return what a matrix of a `dense` layer acts as after netx and Lava had it.

    netx shifts left until 8 bits are full, counts the bits that are in use, and undoes the shift on
    the sum. Lava takes the sign mode of the shifted matrix, clips, and clears the low bits. None
    where netx fails, clips, or takes another sign mode than Lava (none positive, some 0).
    """
    low, high = int(weight.min()), int(weight.max())
    if low == high == 0 or low < -256 or high > 255 or low < 0 == high:
        return None
    mixed = low < 0 < high
    if mixed:
        room = _doublings(high, 127, -low, 128) + 1
    else:
        room = _doublings(high, 255) if low >= 0 else _doublings(-low, 256)
    in_common = next((n for n in range(8, 0, -1) if not np.any(weight % (1 << n))), 0)
    cleared = room + in_common  # of 8 bits; one more of a mixed matrix is never used
    shifted = weight << room
    if high < 0:
        return np.asarray(-(np.clip(-shifted, 0, 255) >> cleared << cleared) >> room)
    floor = -256 if mixed else 0
    return np.asarray(np.clip(shifted, floor, 255) >> cleared << cleared >> room)


def _doublings(first: int, first_most: int, second: int = 0, second_most: int = 0) -> int:
    """Return the largest e for which neither first * 2^e nor second * 2^e exceeds its most."""
    exponent = -1
    while (first << exponent + 1) <= first_most and (second << exponent + 1) <= second_most:
        exponent += 1
    return exponent


def _why(weight: IntArray) -> str:
    low, high = int(weight.min()), int(weight.max())
    if not weight.any():
        return "all are 0"
    if high <= 0:
        return "none is positive"
    if low < -256 or high > 254:
        return "with their exponent they are beyond its 8 bits"
    return "odd ones of both signs need 9 bits"


def _not_sequential(where: str, why: str) -> UnsupportedError:
    return UnsupportedError(
        "E2410",
        f"netx holds sequences of layers: {why}",
        where=where,
        remedy="export onnx, which holds any network",
    )


def _notes(network: Network, source: Source) -> Iterator[str]:
    if source.is_graded:
        bits = max(abs(source.low), source.high).bit_length() + (source.low < 0)
        yield f"inputs are integers: open it with input_message_bits={bits}"
    if network.steps:
        yield f"samples are kept apart with reset_interval={network.steps}, reset_offset=1"
    assert ACT_SHIFT == BIAS_EXP  # both units are Lava's
    for output in network.outputs:
        if output.readout != "spikes":
            yield f"{output.name} is v of the last layer, which never fires"
