"""What the executor refuses, reports and keeps."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from hwtargets.simulator import SIMULATOR, engine
from hwtargets.simulator.windows import Schedule
from snndeploy.errors import ModelError, UnsupportedError
from snndeploy.ir.network import Network, Output, Population, Projection, Source
from snndeploy.ir.neurons import LIF, lif
from snndeploy.ir.synapses import OneToOne
from tests.generator.networks import random_network


def chain(*, steps=2, depth=1, bias=0, vth=0):
    """x -> p1 -> ... one neuron each, weight 2."""
    nodes = ["x", *(f"p{i}" for i in range(1, depth + 1))]
    return Network(
        name="chain",
        steps=steps,
        sources=(Source(name="x", shape=(1,)),),
        populations=tuple(
            Population(
                name=name, shape=(1,), program=LIF, wave=i,
                params=lif(du=4095, dv=0, vth=vth, bias_mant=bias),
            )
            for i, name in enumerate(nodes) if i
        ),
        projections=tuple(
            Projection(name=f"w{i}", source=nodes[i], target=nodes[i + 1],
                       synapse=OneToOne(weight=[2]))
            for i in range(depth)
        ),
        outputs=(Output(name="y", population=nodes[-1], shape=(1,), readout="spikes",
                        decode="sum"),),
    )  # fmt: skip


def frames(*rows):
    """Return inputs [P, B, 1] from one list of steps per sample."""
    return {"x": np.array(rows).T[:, :, None]}


@pytest.mark.parametrize(
    ("depth", "steps", "first", "stop"), [(0, 4, 0, 3), (1, 4, -1, 4), (4, 4, -1, 4), (5, 4, -2, 5)]
)
def test_fill_and_drain_windows_cover_every_chip_step(depth, steps, first, stop):
    last = SimpleNamespace(wave=depth)
    network = replace(chain(), steps=steps, populations=(last,))
    schedule = Schedule(network=network, n_samples=3)
    assert (schedule.first, schedule.stop) == (first, stop)
    windows = np.arange(first, stop)
    for wave in range(depth + 1):
        t = schedule.chip_step(windows, wave)[schedule.exists(windows, wave)]
        assert t.tolist() == list(range(schedule.n_chip_steps))


def test_spikes_appear_one_step_per_layer_later_in_the_same_window():
    result = SIMULATOR.run(chain(depth=3), frames([1, 0], [0, 1]), record=("p1", "p3"))
    for name in ("p1", "p3"):
        assert result.traces[name].spikes[:, :, 0].T.tolist() == [[1, 0], [0, 1]]


def test_progress_ends_with_all_samples():
    seen = []
    SIMULATOR.run(
        chain(depth=3), frames([1, 0], [0, 1]), record=(), progress=lambda *at: seen.append(at)
    )
    assert seen[-1] == (2, 2)


@pytest.mark.parametrize("kernels", [False, True])
def test_progress_is_told_within_a_sample(kernels):
    seen = []
    inputs = frames([1, 0, 1, 1])
    list(engine.simulate(chain(depth=3, steps=4), inputs, record=(), kernels=kernels,
                         progress=lambda *at: seen.append(at)))  # fmt: skip
    assert len(set(seen)) >= 3
    assert seen == sorted(seen)
    assert seen[-1] == (1000, 1000)


def test_without_a_placement_there_are_no_counts():
    result = SIMULATOR.run(chain(), frames([1, 0]), record=())
    assert result.counts is None
    assert result.timing is None


def test_refuses_delays_that_are_not_those_of_the_waves():
    network = chain()
    loop = Projection(name="loop", source="p1", target="p1", synapse=OneToOne(weight=[2]))
    network = replace(network, projections=(*network.projections, loop))
    with pytest.raises(UnsupportedError, match=r"^error\[E3002\] loop: delay 0, .* ask for -1"):
        SIMULATOR.run(network, frames([1, 0]), record=())


def test_the_kernel_of_lif_and_its_compiled_program_are_the_same():
    network = chain(steps=6, bias=30, vth=2)
    compiled = replace(network.populations[0], program=replace(LIF, name="lif in other words"))
    runs = [
        SIMULATOR.run(each, frames([1, 0, 0, 1, 1, 0], [0, 1, 1, 0, 1, 0]), record=("p1",))
        for each in (network, replace(network, populations=(compiled,)))
    ]
    ours, theirs = (run.traces["p1"] for run in runs)
    assert 0 < ours.spikes.sum() < ours.spikes.size
    assert np.array_equal(ours.spikes, theirs.spikes)
    assert all(np.array_equal(ours.states[word], theirs.states[word]) for word in ("u", "v"))


@pytest.mark.parametrize("inputs", [{}, {"x": np.zeros((3, 1, 1))}, {"x": np.zeros((2, 1, 4))}])
def test_refuses_inputs_of_another_shape(inputs):
    with pytest.raises(ModelError, match=r"^error\[E3003\] x: input is .*, must be \(2, 'B', 1\)"):
        SIMULATOR.run(chain(), inputs, record=())


def test_no_sample_gives_empty_traces():
    result = SIMULATOR.run(chain(), {"x": np.zeros((2, 0, 1), dtype=int)}, record=("p1",))
    assert result.traces["p1"].spikes.shape == (2, 0, 1)


def test_the_inputs_are_left_alone():
    network, inputs = random_network(np.random.default_rng(5))
    before = inputs["in"].copy()
    SIMULATOR.run(network, inputs, record=())
    assert np.array_equal(inputs["in"], before)
