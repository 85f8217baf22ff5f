"""What a synapse takes in memory, and what a run takes whatever its length."""

import tracemalloc

import numpy as np

from hwtargets.simulator import engine
from hwtargets.simulator.kernels.images import Image
from hwtargets.simulator.kernels.layout import lay_out
from hwtargets.simulator.kernels.listing import list_synapses
from snndeploy.ir.synapses import Conv, Dense, Sparse
from tests.benchmarks import workloads

BYTES = 16
"""Per stored weight, everything that the kernels read included."""


def held(laid):
    """Return the bytes of all arrays of a layout, those of its reader too."""
    parts = [getattr(laid, name) for name in laid.__slots__]
    parts += [getattr(laid.reader, name) for name in laid.reader.__slots__]
    return sum(part.nbytes for part in parts if isinstance(part, np.ndarray))


def even(rng, shape):
    return 2 * rng.integers(-127, 128, size=shape)


def test_a_stored_weight_takes_at_most_16_bytes():
    rng = np.random.default_rng(0)
    flat, n, fan_in = Image(channels=700, pixels=1), 700, 50
    dense = Dense(weight=even(rng, (n, n)))
    assert held(lay_out(dense, flat, flat, 0)) <= BYTES * dense.weight.size
    indices = np.concatenate([np.sort(rng.choice(n, fan_in, replace=False)) for _ in range(n)])
    listed = Sparse(n_in=n, indptr=np.arange(n + 1) * fan_in, indices=indices,
                    weight=rng.choice([-127, -3, 5, 126], n * fan_in))  # fmt: skip
    assert held(list_synapses(listed, flat, flat, 0)) <= BYTES * len(indices)
    conv = Conv(weight=even(rng, (64, 64, 3, 3)), in_shape=(64, 32, 32), padding=(1, 1))
    laid = lay_out(conv, Image(channels=64, pixels=1024), Image(channels=64, pixels=1024), 0)
    assert held(laid) <= BYTES * conv.weight.size


def test_weights_of_a_convolution_are_stored_once_whatever_the_image():
    rng = np.random.default_rng(0)
    weight = even(rng, (64, 32, 3, 3))
    sizes = []
    for side in (8, 64):
        conv = Conv(weight=weight, in_shape=(32, side, side), padding=(1, 1))
        source, target = (Image(channels=c, pixels=side * side) for c in (32, 64))
        sizes.append(lay_out(conv, source, target, 0).weights.nbytes)
    assert sizes[0] == sizes[1] <= 1.01 * weight.size


def test_memory_does_not_grow_with_the_samples():
    workload = workloads.dense(np.random.default_rng(0), n_samples=8, steps=8)

    def peak(times):
        inputs = {"in": np.tile(workload.inputs["in"], (1, times, 1))}
        network = workload.network
        for _ in engine.simulate(network, inputs, record=(), kernels=True, chunk_cells=1 << 17):
            pass  # what runs once only is not to be seen
        tracemalloc.start()
        for _ in engine.simulate(network, inputs, record=(), kernels=True, chunk_cells=1 << 17):
            pass
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most - packed_bytes(inputs["in"])

    assert peak(16) < 1.1 * peak(2)


def packed_bytes(values):
    """Return what the input takes as bits, eight to a byte."""
    return values.size // 8
