"""The kernels equal their definitions in plain numpy, and networks in kernels those on arrays."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hwtargets.simulator import engine, fused, launch, plan, windows
from hwtargets.simulator.kernels import events, images, layout
from hwtargets.simulator.kernels.arguments import Frames
from hwtargets.simulator.kernels.gather import run_neurons
from hwtargets.simulator.kernels.images import Image
from hwtargets.simulator.kernels.vector import ESCAPED
from hwtargets.simulator.labels import Labels
from hwtargets.simulator.lif import kernel
from hwtargets.simulator.sent import Sent, packed
from hwtargets.simulator.workers import Workers
from snndeploy.errors import SnnDeployError
from snndeploy.ir.interpret import run_reference
from snndeploy.ir.network import Network, Population, Projection, Source
from snndeploy.ir.neurons import LIF, lif
from snndeploy.ir.synapses import Conv, Dense, OneToOne, Pool, sparse_from_dense
from snndeploy.target import load_chip
from tests.generator import networks
from tests.generator.loops import random_loops
from tests.generator.neurons import ALL_PROGRAMS
from tests.windows import run_windows

LOIHI2 = load_chip(Path(__file__).parents[2] / "hwtargets" / "chips" / "loihi2.toml")
seeds = st.integers(0, 2**32 - 1)
LEAKY = tuple(name for name, program in ALL_PROGRAMS.items() if program.bounds == "leaky")


def assert_same(network, inputs, **options):
    """Run on arrays and in kernels, with and without states, on threads: all the same."""
    names = tuple(population.name for population in network.populations)

    def chunks(record, kernels, threads=1):
        return engine.simulate(
            network, inputs, record=record, kernels=kernels, threads=threads, **options
        )

    runs = (chunks(names, False), chunks(names, True), chunks((), True, threads=2))
    for a, b, c in zip(*runs, strict=True):
        for name in network.nodes:
            assert np.array_equal(a.sent[name], b.sent[name]), name
            assert np.array_equal(a.sent[name], c.sent[name]), name
        for name in names:
            assert a.ran[name].overflows == b.ran[name].overflows == c.ran[name].overflows
            assert np.array_equal(a.ran[name].spikes, b.ran[name].spikes)
            for word, values in a.ran[name].states.items():
                assert np.array_equal(values, b.ran[name].states[word]), (name, word)


@settings(max_examples=100, deadline=None)
@given(networks.networks())
def test_networks_are_the_same_in_kernels_and_on_arrays(case):
    assert_same(*case)


@settings(max_examples=60, deadline=None)
@given(networks.networks(extreme=True), st.sampled_from([1, 1 << 22]))
def test_wrapping_and_clipping_networks_are_the_same_too(case, cells):
    assert_same(*case, chunk_cells=cells)


@settings(max_examples=60, deadline=None)
@given(networks.networks())
def test_samples_alone_are_the_same_too(case):
    network, inputs = case
    assert_same(replace(network, alone=True), inputs)


@settings(max_examples=60, deadline=None)
@given(seeds, st.booleans(), st.sampled_from([("lif",), LEAKY]))
@example(seed=7, alone=False, programs=("lif",))  # a convolution between flat and image, in a loop
def test_networks_with_loops_are_the_same_too(seed, alone, programs):
    rng = np.random.default_rng(seed)
    try:
        network, inputs = random_loops(rng, LOIHI2.numerics, programs=programs, alone=alone)
    except SnnDeployError:
        return
    assert_same(network, inputs)


@settings(max_examples=40, deadline=None)
@given(networks.networks())
def test_kernels_equal_the_reference(case):
    network, inputs = case
    names = tuple(population.name for population in network.populations)
    want = run_reference(network, inputs, record=names)
    schedule = windows.schedule_of(network, inputs)
    for chunk in engine.simulate(network, inputs, record=(), kernels=True, chunk_cells=1):
        for name in names:
            for i, window in enumerate(chunk.windows):
                if 0 <= window < schedule.n_samples:
                    got = np.asarray(chunk.sent[name])[i, : network.steps]
                    assert np.array_equal(got, want[name].spikes[:, window])


def test_random_networks_reach_every_kernel(monkeypatch):
    seen = Counter()
    planned = fused.plan

    def spy(*args):
        groups = planned(*args)
        for stage in (stage for group in groups for stage in group):
            seen["fused" if stage.fused else "alone"] += 1
            links = (*stage.before, *stage.within, *filter(None, [stage.fused]))
            for link in links:
                seen[type(link.laid).__name__] += 1
                seen["parts"] += getattr(link.laid, "parts", 0) > 1
                seen["planes"] += getattr(link.laid, "planes", 0) > 1
        return groups

    monkeypatch.setattr(fused, "plan", spy)
    for seed in range(60):
        network, inputs = networks.random_network(np.random.default_rng(seed))
        list(engine.simulate(network, inputs, record=(), kernels=True))
    assert min(seen[key] for key in ("fused", "alone", "Layout", "Listing", "NoneType")) >= 10


def one_layer(synapse, shape, *, steps, vth, weight_exp=0, du=4095, dv=300):
    """Return a network of one population."""
    n = synapse.n_out
    return Network(
        name="one", steps=steps, sources=(Source(name="in", shape=shape),),
        populations=(Population(name="p", shape=(n,), program=LIF,
                                params=lif(du=du, dv=dv, vth=vth), wave=1),),
        projections=(Projection(name="w", source="in", target="p", synapse=synapse,
                                weight_exp=weight_exp),),
        outputs=(),
    )  # fmt: skip


def even(rng, shape):
    return 2 * rng.integers(-127, 128, size=shape)


def wide_synapses(rng):
    """Yield layers that small networks do not have: parts, planes, blocks, repeats."""
    yield Dense(weight=even(rng, (70, 900))), (900,)
    yield Dense(weight=rng.integers(0, 256, size=(33, 130))), (130,)
    yield Dense(weight=-rng.integers(0, 256, size=(3, 700))), (700,)
    yield Dense(weight=np.full((40, 600), 254)), (600,)
    yield Conv(weight=even(rng, (96, 150, 3, 3)), in_shape=(150, 5, 4), padding=(1, 1)), (150, 5, 4)
    yield Conv(weight=even(rng, (64, 500, 2, 2)), in_shape=(500, 3, 3)), (500, 3, 3)
    yield Conv(weight=even(rng, (128, 2, 3, 3)), in_shape=(128, 6, 6), groups=64), (128, 6, 6)
    yield Conv(weight=even(rng, (64, 1, 3, 3)), in_shape=(64, 5, 5), groups=64), (64, 5, 5)
    repeated = np.repeat(np.repeat(even(rng, (32, 70, 3, 3)), 2, axis=2), 2, axis=3)
    yield (
        Conv(weight=repeated, in_shape=(70, 7, 8), stride=(2, 2), padding=(2, 2)),
        (70, 7, 8),
    )
    yield Conv(weight=even(rng, (32, 40, 3, 3)), in_shape=(40, 9, 9), dilation=(2, 3)), (40, 9, 9)
    yield Pool(in_shape=(100, 6, 6), kernel=(2, 2), stride=(2, 2), weight=64), (100, 6, 6)
    yield Pool(in_shape=(64, 7, 7), kernel=(3, 3), stride=(2, 2), padding=(1, 1)), (64, 7, 7)
    listed = even(rng, (300, 500)) * (rng.random((300, 500)) < 0.01)
    yield sparse_from_dense(listed), (500,)


@pytest.mark.parametrize("index", range(13))
@pytest.mark.parametrize(("du", "dv"), [(4095, 0), (4095, 300), (900, 300)])
def test_wide_layers_are_the_same(index, du, dv):
    rng = np.random.default_rng(index)
    synapse, shape = list(wide_synapses(rng))[index]
    network = one_layer(synapse, shape, steps=5, vth=600, weight_exp=index % 3 - 1, du=du, dv=dv)
    inputs = {"in": (rng.random((5, 2, *shape)) < 0.3).astype(np.int64)}
    assert_same(network, inputs)


def test_frames_with_every_spike_are_added_in_parts_that_fit():
    synapse = Dense(weight=np.full((40, 600), 254))
    laid = layout.lay_out(synapse, Image(channels=600, pixels=1), Image(channels=40, pixels=1), 0)
    assert laid.safe == layout.SAFE_ROWS
    network = one_layer(synapse, (600,), steps=3, vth=1 << 16)
    assert_same(network, {"in": np.ones((3, 2, 600), dtype=np.int64)})


@settings(max_examples=60, deadline=None)
@given(seeds)
def test_bits_and_lists_are_the_spikes(seed):
    rng = np.random.default_rng(seed)
    image = Image(channels=int(rng.integers(1, 200)), pixels=int(rng.integers(1, 6)))
    values = (rng.random((3, 2, image.n)) < rng.random()).astype(np.int64)
    bits, plain = packed(values, image)
    assert plain
    assert events.count_bits(bits.reshape(-1)) == values.sum()
    unpacked = np.zeros((6, image.n), dtype=np.float32)
    events.unpack(bits.reshape(6, -1), image.pixels, image.stride, unpacked)
    assert np.array_equal(unpacked, values.reshape(6, -1))
    reader = images.read_all(image, int(rng.integers(1, 100)) * 64)
    workers = Workers(int(rng.integers(1, 4)))
    lists = launch.list_frames(bits.reshape(6, -1), reader, workers, per_window=1, first=0)
    by_pixel = values.reshape(6, image.channels, image.pixels).swapaxes(1, 2).reshape(6, -1)
    for frame in range(6):
        listed = lists.events[lists.starts[0, frame] : lists.starts[-1, frame]]
        assert np.array_equal(listed, np.flatnonzero(by_pixel[frame]))


def test_what_is_not_0_or_1_is_no_bit():
    assert not packed(np.array([[[0, 2]]]), Image(channels=2, pixels=1))[1]
    assert not packed(np.array([[[0, -1]]]), Image(channels=2, pixels=1))[1]


@settings(max_examples=60, deadline=None)
@given(seeds)
def test_neurons_in_the_kernel_are_those_on_arrays(seed):
    rng = np.random.default_rng(seed)
    n, steps = int(rng.integers(1, 150)), int(rng.integers(1, 7))
    size = int(rng.choice([1, n]))
    params = lif(
        du=int(rng.integers(-1, 4096)), dv=int(rng.integers(0, 4097)),
        vth=int(rng.integers(0, 1 << 17)), bias_exp=7,
        bias_mant=rng.integers(-4096, 4096, size=size),
    )  # fmt: skip
    a = rng.integers(-(1 << 15), 1 << 15, size=(2, steps, n)).astype(np.int32)
    exists = np.ones((2, steps), dtype=bool)
    want = run_windows(a, kernel(params), exists, states=True)
    population = Population(name="p", shape=(n,), program=LIF, params=params, wave=1)
    image = Image(channels=n, pixels=1)
    fixed = plan.lif_of(population)
    stage = plan.Stage(
        population=population, image=image, lif=fixed,
        neurons=plan.neurons_of(fixed, image, 1 << 20),
        before=(), fused=None, within=(),
    )  # fmt: skip
    neurons = launch.with_states(stage, 0, 2 * steps)
    arrived = np.zeros((2, steps, image.padded), dtype=np.int32)
    arrived[:, :, :n] = a
    sent = np.zeros((2, steps, 4 * image.words), dtype=np.uint16)
    lanes = (0,) * (2 if image.padded % 64 == 0 else 1)
    frames = Frames(
        live=np.array([[0, steps]] * 2), steps=steps, first=0, stop=steps, reset=0, pixels=1,
        planes=1, blocks=image.padded // (32 * len(lanes)), masks=launch.masks_of(image),
        items=(0, 2),
    )  # fmt: skip
    left = run_neurons(lanes, neurons, frames, arrived.reshape(-1), sent.reshape(-1))
    escaped = left >= ESCAPED
    assert want.overflows["u_wraps"] == 0 or escaped
    if not escaped:
        got = neurons.log_v.reshape(2, steps, -1)[:, :, :n]
        assert np.array_equal(got, want.states["v"])
        assert np.array_equal(neurons.log_u.reshape(2, steps, -1)[:, :, :n], want.states["u"])
        assert left == want.overflows["v_clips"]


@settings(max_examples=80, deadline=None)
@given(seeds)
def test_spikes_of_classes_are_those_of_their_neurons(seed):
    rng = np.random.default_rng(seed)
    image = Image(channels=int(rng.integers(1, 150)), pixels=int(rng.integers(1, 400)))
    per_channel, bands = rng.integers(0, 4, size=image.channels), rng.integers(1, 6)
    kinds = [
        per_channel[:, None] * 6 + np.arange(image.pixels) * bands // image.pixels,
        np.broadcast_to(np.arange(image.pixels) % bands, (image.channels, image.pixels)),
        rng.integers(0, 9, size=(image.channels, image.pixels)),
    ]
    of = np.unique(kinds[rng.integers(3)], return_inverse=True)[1].reshape(-1).astype(np.int32)
    labels = Labels(of=of, n_classes=int(of.max()) + 1)
    values = (rng.random((3, 4, image.n)) < rng.random()).astype(np.int64)
    bits = Sent(shape=(3, 4, image.n), image=image, bits=packed(values, image)[0])
    want = [np.bincount(of, frame, labels.n_classes) for frame in values.reshape(12, -1)]
    assert np.array_equal(bits.per_label(labels), want)
    assert np.array_equal(labels.count(values.reshape(12, -1)), want)
    by_pixel = values.reshape(12, image.channels, image.pixels).sum(axis=1)
    assert np.array_equal(bits.per_class(1, image.pixels), by_pixel)
    assert np.array_equal(bits.in_windows(), values.any(axis=(1, 2)))


@settings(max_examples=60, deadline=None)
@given(seeds)
def test_spikes_listed_from_bits_are_those_of_the_numbers(seed):
    rng = np.random.default_rng(seed)
    image = Image(channels=int(rng.integers(1, 140)), pixels=int(rng.integers(1, 40)))
    shape = (int(rng.integers(1, 4)), int(rng.integers(1, 6)), image.n)
    values = (rng.random(shape) < rng.choice([0.0, 0.02, 0.5])).astype(np.int64)
    bits, binary = packed(values, image)
    first, stop = sorted(rng.integers(0, shape[0] * shape[1] + 1, 2).tolist())
    found = Sent(shape=shape, image=image, bits=bits).spikes(slice(first, stop))
    assert binary
    wanted = np.nonzero(values.reshape(-1, image.n)[first:stop])
    for want, listed in zip(wanted, found, strict=True):
        assert np.array_equal(want, listed)


@pytest.mark.parametrize("vth", [0, 300])
def test_steps_in_which_nothing_arrives_are_passed_over_alike(vth):
    rng = np.random.default_rng(vth)
    synapse = Conv(weight=even(rng, (40, 3, 3, 3)), in_shape=(3, 6, 5), padding=(1, 1))
    network = one_layer(synapse, (3, 6, 5), steps=40, vth=vth, dv=0)
    inputs = {"in": (rng.random((40, 3, 3, 6, 5)) < 0.01).astype(np.int64)}
    assert_same(network, inputs)


def test_a_dense_projection_into_an_image_of_whole_blocks_keeps_its_places():
    """32 channels fill a block: no row is padding, and still rows come pixel by pixel."""
    rng = np.random.default_rng(3)
    conv = Conv(weight=2 * rng.integers(-9, 14, (32, 2, 3, 3)), in_shape=(2, 5, 5))
    network = Network(
        name="image",
        steps=6,
        sources=(Source(name="in", shape=(2, 5, 5)), Source(name="one", shape=(1,))),
        populations=(
            Population(
                name="image", shape=(32, 3, 3), program=LIF, wave=1,
                params=lif(du=4095, dv=2048, vth=60),
            ),
        ),
        projections=(
            Projection(name="conv", source="in", target="image", synapse=conv),
            Projection(
                name="dense", source="one", target="image",
                synapse=Dense(weight=2 * rng.integers(-40, 60, (288, 1))),
            ),
        ),
        outputs=(),
    )  # fmt: skip
    inputs = {
        "in": (rng.random((6, 4, 2, 5, 5)) < 0.3).astype(np.int64),
        "one": np.ones((6, 4, 1), dtype=np.int64),
    }
    assert_same(network, inputs)
    spikes = run_reference(network, inputs, record=("image",))["image"].spikes
    assert 0 < spikes.mean() < 1


@settings(max_examples=60, deadline=None)
@given(seeds)
def test_thin_layers_step_by_step_are_the_same(seed):
    rng = np.random.default_rng(seed)
    c_in, c_out = int(rng.integers(1, 70)), int(rng.choice([1, 5, 8, 9, 16, 24, 32]))
    kernel_shape, stride = rng.integers(1, 5, size=2), tuple(map(int, rng.integers(1, 4, size=2)))
    shape = (c_in, *map(int, 4 * kernel_shape + rng.integers(0, 7, size=2)))
    if rng.random() < 0.2:
        synapse = OneToOne(weight=rng.integers(-256, 255, size=int(np.prod(shape))))
    else:
        synapse = Conv(
            weight=even(rng, (c_out, c_in, *kernel_shape)) // 64, in_shape=shape, stride=stride,
            padding=tuple(int(rng.integers(0, k)) for k in kernel_shape),
        )  # fmt: skip
    network = one_layer(
        synapse, shape, steps=6, vth=int(rng.choice([0, 3, 40])),
        weight_exp=int(rng.integers(-2, 3)), du=int(rng.choice([4095, 900])),
        dv=int(rng.choice([0, 300])),
    )  # fmt: skip
    n = int(rng.choice([1, synapse.n_out]))
    population = network.populations[0]
    params = {**population.params, "bias_mant": rng.integers(-9, 9, size=n) * (rng.random() < 0.5)}
    network = replace(network, populations=(replace(population, params=params),))
    inputs = {"in": (rng.random((6, 2, *shape)) < rng.choice([0.01, 0.3])).astype(np.int64)}
    schedule = windows.schedule_of(network, inputs)
    ((stage,),) = fused.FusedRun.of(network, inputs, schedule, Workers()).groups
    assert stage.spread
    assert_same(network, inputs)
    assert_same(replace(network, alone=True), inputs)


@pytest.mark.parametrize("stride", [(2, 2), (2, 1), (1, 2)])
@pytest.mark.parametrize(
    ("kernel", "padding"), [((5, 5), (2, 2)), ((3, 3), (1, 0)), ((1, 3), (0, 1))]
)
@pytest.mark.parametrize("c_in", [2, 24])
def test_rows_and_columns_that_feed_fewer_targets_are_listed_apart(c_in, kernel, padding, stride):
    rng = np.random.default_rng(c_in)
    synapse = Conv(
        weight=2 * rng.integers(-20, 25, (20, c_in, *kernel)), in_shape=(c_in, 8, 16),
        stride=stride, padding=padding,
    )  # fmt: skip
    network = one_layer(synapse, synapse.in_shape, steps=6, vth=40)
    inputs = {"in": (rng.random((6, 2, *synapse.in_shape)) < 0.1).astype(np.int64)}
    schedule = windows.schedule_of(network, inputs)
    ((stage,),) = fused.FusedRun.of(network, inputs, schedule, Workers()).groups
    differ = tuple(s == 2 for s in stride)
    assert (len(stage.spread.words) == 2, stage.spread.evens != 0) == differ
    assert_same(network, inputs)


@pytest.mark.parametrize("seed", range(4))
def test_neurons_that_fall_below_16_bits_and_are_clipped_rise_and_spike_alike(seed):
    """Half of the time inhibited, then excited: v reaches the clip, comes back and spikes."""
    rng = np.random.default_rng(seed)
    weight = 2 * rng.integers(1, 60, (8, 2, 3, 3))
    weight[:, 0] *= -1
    synapse = Conv(weight=weight, in_shape=(2, 8, 8), stride=(1, 2), padding=(1, 1))
    exponent, steps = int(rng.integers(0, 4)), 240
    if seed == 3:
        synapse = OneToOne(weight=2 * np.tile([-60, 61], 64))
        exponent = 6
    network = one_layer(
        synapse, (2, 8, 8), steps=2 * steps, vth=400 << exponent, weight_exp=exponent, dv=0
    )
    spikes = rng.random((2 * steps, 2, 2, 8, 8)) < 0.7
    if seed < 3:
        spikes[:steps, :, 1] = spikes[steps:, :, 0] = False
    inputs = {"in": spikes.astype(np.int64)}
    schedule = windows.schedule_of(network, inputs)
    ((stage,),) = fused.FusedRun.of(network, inputs, schedule, Workers()).groups
    assert stage.levels
    assert_same(network, inputs)
    (chunk,) = engine.simulate(network, inputs, record=("p",), kernels=True)
    ran = chunk.ran["p"]
    assert ran.states["v"].min() < stage.levels.least * stage.levels.unit
    assert ran.overflows["v_clips"] > 0
    if seed < 3:
        first = ran.states["v"][:, :steps].min(axis=1) == -((1 << 23) - 1)
        assert (ran.spikes[:, steps:].any(axis=1) & first).any()  # clipped, and spikes later
