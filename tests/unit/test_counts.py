"""Event counts and step times of nets small enough to check by eye."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hwtargets.simulator import SIMULATOR
from snndeploy.energy import EVENT_KINDS, HOST, PHASES
from snndeploy.errors import ModelError
from snndeploy.ir.network import Network, Output, Population, Projection, Source
from snndeploy.ir.neurons import LIF, lif
from snndeploy.ir.placement import CoreSlice, Placement
from snndeploy.ir.programs import GRADED_SUM, graded_sum
from snndeploy.ir.synapses import Conv, Dense, sparse_from_dense
from snndeploy.target import load_chip

CHIP = load_chip(Path(__file__).parents[2] / "hwtargets" / "chips" / "loihi1.toml")


def net(weights, *, steps=1, bias=0, weight_bits=8):
    """Return x -> p1 -> p2 …; a spike fires every neuron it reaches with a positive weight."""
    synapses = [Dense(weight=w) if isinstance(w, list) else w for w in weights]
    names = ["x", *(f"p{i + 1}" for i in range(len(synapses)))]
    populations = [
        Population(
            name=name, shape=(synapse.n_out,), program=LIF, wave=i + 1,
            params=lif(du=4095, dv=0, vth=0, bias_mant=bias),
        )
        for i, (name, synapse) in enumerate(zip(names[1:], synapses, strict=True))
    ]  # fmt: skip
    return Network(
        name="net",
        steps=steps,
        sources=(Source(name="x", shape=(synapses[0].n_in,)),),
        populations=tuple(populations),
        projections=tuple(
            Projection(
                name=f"w{i}", source=names[i], target=names[i + 1], synapse=synapse,
                weight_bits=weight_bits,
            )
            for i, synapse in enumerate(synapses)
        ),
        outputs=(
            Output(name="y", population=names[-1], shape=(synapses[-1].n_out,), readout="spikes",
                   decode="sum"),
        ),
    )  # fmt: skip


def placed(*slices):
    """Return a placement of (core, population, start, stop); 4 cores per tile, 8 x 4 tiles."""
    pieces = tuple(
        CoreSlice(
            core=core, population=name, start=start, stop=stop,
            synapse_bits={}, in_axons={}, out_axons=0,
        )
        for core, name, start, stop in slices
    )  # fmt: skip
    return Placement(chip="loihi1", slices=pieces, mesh=(8, 4), cores_per_tile=4)


def run(network, frames, placement, chip=None):
    """Run frames [P][B][n]; return the result."""
    inputs = {"x": np.array(frames)}
    return SIMULATOR.run(network, inputs, record=(), placement=placement, chip=chip)


def events(counts, kind):
    return counts.events[kind].tolist()


def test_one_spike_one_synapse():
    counts = run(net([[[2]]]), [[[1]]], placed((0, "p1", 0, 1))).counts
    assert counts.cores == (0, HOST)
    assert counts.populations == ("p1", "x")
    assert counts.n_samples == 1
    # Rows: core 0, host. Chip steps: 0 (fill of p1) and 1.
    assert events(counts, "host_in") == [[0, 0], [1, 0]]
    assert events(counts, "synaptic_op") == [[0, 1], [0, 0]]
    assert events(counts, "synaptic_word") == [[0, 1], [0, 0]]
    assert events(counts, "neuron_active") == [[0, 1], [0, 0]]
    assert events(counts, "neuron_idle") == [[1, 0], [0, 0]]
    assert events(counts, "spike") == [[0, 1], [0, 0]]
    assert events(counts, "message") == [[0, 0], [0, 0]]
    assert events(counts, "barrier") == [[1, 1], [0, 0]]
    assert events(counts, "host_out") == [[0, 1], [0, 0]]
    assert counts.phase.tolist() == [[1, 0], [0, 2]]
    assert PHASES[1] == "fill"


def test_every_kind_is_counted():
    counts = run(net([[[2]]]), [[[1]]], placed((0, "p1", 0, 1))).counts
    assert set(counts.events) == set(EVENT_KINDS)


def test_a_spike_to_two_cores_is_two_messages():
    network = net([[[2]], [[2], [2], [2]]])
    counts = run(network, [[[1]]], placed((0, "p1", 0, 1), (1, "p2", 0, 2), (2, "p2", 2, 3))).counts
    assert events(counts, "message")[0] == [0, 2, 0]
    assert events(counts, "synaptic_op")[1:3] == [[0, 0, 2], [0, 0, 1]]
    assert counts.total("hop_x") == counts.total("hop_y") == 0  # all on tile 0


def test_hops_are_the_distance_between_tiles():
    network = net([[[2]], [[2], [2]]])
    # Tiles count along y first: core 20 is on tile 5 = (1, 1), core 127 on tile 31 = (7, 3).
    counts = run(
        network, [[[1]]], placed((20, "p1", 0, 1), (0, "p2", 0, 1), (127, "p2", 1, 2))
    ).counts
    assert counts.total("message") == 2
    assert counts.total("hop_x") == 1 + 6
    assert counts.total("hop_y") == 1 + 2


def test_two_projections_to_one_core_share_a_message():
    network = net([[[2]], [[2], [2]]])
    twin = replace(network.projections[1], name="twin")
    network = replace(network, projections=(*network.projections, twin))
    counts = run(network, [[[1]]], placed((0, "p1", 0, 1), (1, "p2", 0, 2))).counts
    assert counts.total("message") == 1
    assert counts.total("synaptic_op") == 1 + 4
    assert counts.total("neuron_active") == 1 + 2


def test_listed_synapses_reach_only_whom_they_list():
    network = net([sparse_from_dense(np.array([[2, 0], [0, 2], [2, 2]]))])
    counts = run(network, [[[1, 0]]], placed((0, "p1", 0, 3))).counts
    assert counts.total("synaptic_op") == 2
    assert events(counts, "neuron_active")[0] == [0, 2]
    assert events(counts, "neuron_idle")[0] == [3, 1]


def test_zero_weights_of_a_dense_block_are_stored():
    counts = run(net([[[0], [2]]]), [[[1]]], placed((0, "p1", 0, 2))).counts
    assert counts.total("synaptic_op") == 2
    assert counts.total("spike") == 1


def test_convolutions_count_only_targets_inside_the_image():
    conv = Conv(weight=np.full((2, 1, 3, 3), 2), in_shape=(1, 3, 3), padding=(1, 1))
    corner, middle = ([int(i == k) for i in range(9)] for k in (0, 4))
    for frame, n in ((corner, 4), (middle, 9)):
        counts = run(net([conv]), [[frame]], placed((0, "p1", 0, 18))).counts
        assert counts.total("synaptic_op") == 2 * n
        assert counts.total("neuron_active") == 2 * n


def test_words_pack_the_weights_of_a_fan_out():
    network = net([[[2]] * 17], weight_bits=4)
    counts = run(network, [[[1]]], placed((0, "p1", 0, 16), (1, "p1", 16, 17))).counts
    assert [row[1] for row in events(counts, "synaptic_word")] == [1, 1, 0]


def test_graded_inputs_count_once_per_nonzero_value():
    network = net([[[2, 2]]])
    network = replace(network, sources=(replace(network.sources[0], low=-9, high=9),))
    counts = run(network, [[[-9, 0]]], placed((0, "p1", 0, 1))).counts
    assert counts.total("host_in") == 1
    assert counts.total("synaptic_op") == 1


def test_fill_and_drain_spikes_are_counted_in_their_phase():
    # A bias fires both neurons in every chip step, before and after the sample too.
    network = net([[[2]], [[2]]], steps=2, bias=1)
    counts = run(network, [[[0]], [[0]]], placed((0, "p1", 0, 1), (1, "p2", 0, 1))).counts
    assert events(counts, "spike")[:2] == [[1, 1, 1, 1], [1, 1, 1, 1]]
    assert events(counts, "synaptic_op")[:2] == [[0, 0, 0, 0], [0, 1, 1, 1]]
    assert counts.phase.tolist() == [[1, 0, 0, 2], [1, 1, 0, 0], [0, 0, 2, 2]]
    assert events(counts, "host_out")[1] == [0, 0, 1, 1]


def test_step_time_is_the_slowest_core_and_the_barrier():
    network = net([[[2]], [[2], [2], [2]]])
    result = run(network, [[[1]]], placed((0, "p1", 0, 1), (5, "p2", 0, 2), (2, "p2", 2, 3)), CHIP)
    timing = result.timing
    barrier = 101.645e-9 + 2 * 11.355e-9  # two tiles
    assert timing.barrier_s == pytest.approx(barrier, rel=1e-12)
    idle, active, op, message = 5.3e-9, 8.4e-9, 3.5e-9, 2.1e-9
    # Taking a message and making one overlap: what p2 takes in step 1 hides behind what p1 makes.
    want = [2 * idle, max(active + 2 * message, 2 * op, 2 * idle), 2 * active]
    assert timing.step_s == pytest.approx(np.array(want) + barrier, rel=1e-12)
    assert timing.critical_core.tolist() == [5, 0, 5]
    assert timing.core_s[3].tolist() == [0, 0, 0]
    assert timing.grade == "fitted"
    assert timing.total_s == pytest.approx(timing.step_s.sum())


def test_no_time_without_latencies():
    bare = replace(CHIP, latencies={})
    with pytest.raises(ModelError, match=r"^error\[E3006\] loihi1: no latencies"):
        run(net([[[2]]]), [[[1]]], placed((0, "p1", 0, 1)), bare)


def test_a_spike_that_carries_an_integer_is_one_spike_and_one_message():
    plain = net([[[2], [4]], [[2, 2]]])
    graded = replace(plain.populations[0], program=GRADED_SUM, params=graded_sum(low=0, high=99))
    network = replace(plain, populations=(graded, *plain.populations[1:]))
    placement = placed((0, "p1", 0, 2), (1, "p2", 0, 1))
    counts = run(network, [[[1]]], placement).counts
    trace = SIMULATOR.run(network, {"x": np.array([[[1]]])}, record=("p1",)).traces["p1"]
    assert trace.spikes.tolist() == [[[2, 4]]]
    for kind in ("spike", "message"):
        assert counts.events[kind][0].sum() == 2
    assert counts.events["synaptic_op"][1].sum() == 2
