"""Our `.nir` files of networks in other frameworks: which fire as the network does, which cannot.

Thresholds lie between two states, so `>` and `>=` agree. What a framework cannot is recorded:
snnTorch takes no IF whose r is not 1; Norse ignores r of a LIF; both flatten the batch away. sinabs
has its own page, `test_exported_sinabs`.
"""

from dataclasses import replace

import nir
import numpy as np
import pytest
import torch
from sequences import mixed_sequence
from snntorch import import_nir
from spikingjelly.activation_based import nir_exchange

from snndeploy.exporters.nir import network_file
from snndeploy.ir.interpret import run_reference
from snndeploy.ir.network import Network, Output, Population, Projection, Source
from snndeploy.ir.neurons import LIF, lif
from snndeploy.ir.synapses import Conv, Dense

pytestmark = pytest.mark.filterwarnings("ignore")
HALF, INTEGRATE = 2048, 0
N_SAMPLES = 3


def network_of(dv, *, du=4095, image=False, steps=7):
    """Return two layers that keep a half, or all, per step: no bit of a short window is lost."""
    rng = np.random.default_rng(3)

    def even(*shape):
        return rng.integers(-60, 90, shape) // 2 * 2

    shapes = {"c": (4, 5, 5) if image else (12,), "o": (5,)}
    first = Conv(weight=even(4, 2, 3, 3), in_shape=(2, 5, 5), padding=(1, 1))
    synapses = {
        "c": first if image else Dense(weight=even(12, 9)),
        "o": Dense(weight=even(5, 100 if image else 12)),
    }
    thresholds = {"c": 150, "o": 300} if image else {"c": 90, "o": 100}
    source = (2, 5, 5) if image else (9,)
    network = Network(
        name="n", steps=steps, sources=(Source(name="in", shape=source),),
        populations=tuple(
            Population(
                name=name, shape=shapes[name], program=LIF, wave=wave,
                params=lif(du=du, dv=dv, vth=thresholds[name]),
            )
            for wave, name in enumerate(shapes, 1)
        ),
        projections=tuple(
            Projection(name=f"to {b}", source=a, target=b, synapse=synapses[b])
            for a, b in (("in", "c"), ("c", "o"))
        ),
        outputs=(
            Output(name="y", population="o", shape=(5,), readout="spikes", decode="sum"),
        ),
    )  # fmt: skip
    return network, (rng.random((steps, N_SAMPLES, *source)) < 0.3).astype(np.int64)


def step_by_step(make, x, dtype):
    """Run modules that return (answer, state), one per sample: some flatten the batch away."""
    answers = []
    with torch.no_grad():
        for sample in range(x.shape[1]):
            module, state, steps = make(), None, []
            for frame in x[:, sample : sample + 1]:
                y, state = module(torch.tensor(frame.astype(dtype)), state)
                steps.append(y.numpy())
            answers.append(np.stack(steps).reshape(len(x), 1, -1))
    return np.concatenate(answers, axis=1)


def in_spikingjelly(path, x):
    return step_by_step(
        lambda: nir_exchange.import_from_nir(path, dtype=torch.float64).eval(), x, np.float64
    )


def in_snntorch(path, x):
    return step_by_step(lambda: import_nir.import_from_nir(nir.read(path)).float(), x, np.float32)


def in_norse(path, x):
    import norse  # here, because it warns when it is imported

    graph = nir.read(path)
    return step_by_step(
        lambda: norse.torch.from_nir(graph, dt=1e-4, ignore_warnings=True).double(), x, np.float64
    )


@pytest.fixture
def written(tmp_path):
    """Return a function that writes a network and says what must come out of it."""

    def write(network, x):
        path = tmp_path / "a.nir"
        path.write_bytes(network_file(network)[0])
        spikes = run_reference(network, {"in": x}, record=("o",))["o"].spikes
        assert 0.02 < spikes.mean() < 0.98
        return path, spikes

    return write


@pytest.mark.parametrize("image", [False, True])
@pytest.mark.parametrize(("du", "dv"), [(4095, INTEGRATE), (4095, HALF), (2047, HALF)])
def test_spikingjelly_fires_as_the_network_does(written, du, dv, image):
    network, x = network_of(dv, du=du, image=image)
    path, spikes = written(network, x)
    np.testing.assert_array_equal(in_spikingjelly(path, x), spikes)


@pytest.mark.parametrize("du", [4095, 2047])
def test_snntorch_fires_as_the_network_does(written, du):
    network, x = network_of(HALF, du=du)
    path, spikes = written(network, x)
    np.testing.assert_array_equal(in_snntorch(path, x), spikes)


def test_snntorch_takes_no_integrate_and_fire(written):
    path, _ = written(*network_of(INTEGRATE))
    with pytest.raises(AssertionError, match="r != 1"):
        import_nir.import_from_nir(nir.read(path))


@pytest.mark.parametrize(("du", "dv"), [(4095, INTEGRATE), (2047, HALF)])
def test_norse_fires_as_the_network_does(written, du, dv):
    network, x = network_of(dv, du=du)
    path, spikes = written(network, x)
    np.testing.assert_array_equal(in_norse(path, x), spikes)


def test_norse_ignores_the_gain_of_a_lif(written):
    network, x = network_of(HALF)
    path, spikes = written(network, x)
    assert np.any(in_norse(path, x) != spikes)


def test_every_kind_of_layer_in_spikingjelly_but_for_lost_bits(tmp_path):
    """Leaks that lose bits: float64 keeps what the chip drops, few cells differ."""
    network, inputs = mixed_sequence(width=3)
    first, *rest = network.populations  # SpikingJelly takes one bias beside a current, not many
    plain = replace(first, params=lif(du=3000, dv=700, vth=200))
    into, pool, *later = network.projections  # and no Scale, which a pool of another weight has
    ones = replace(pool, sign_mode="excitatory", synapse=replace(pool.synapse, weight=1))
    network = replace(network, populations=(plain, *rest), projections=(into, ones, *later))
    path = tmp_path / "a.nir"
    path.write_bytes(network_file(network)[0])
    spikes = run_reference(network, inputs, record=("o",))["o"].spikes
    share = np.mean(in_spikingjelly(path, inputs["in"]) != spikes)
    assert spikes.mean() > 0.1
    assert share < 0.02
