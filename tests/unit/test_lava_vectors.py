"""Reference and simulator against answers recorded from Lava (tests/data/lava/README.md)."""

import json
from pathlib import Path

import numpy as np
import pytest

from hwtargets.simulator.deliver import delivery
from hwtargets.simulator.lif import kernel
from snndeploy.ir.grid import natural_sign_mode, stored_weight
from snndeploy.ir.interpret import deliver, run_reference, step, triples, wrap
from snndeploy.ir.network import Network, Output, Population, Projection, Source
from snndeploy.ir.neurons import LIF, lif
from snndeploy.ir.synapses import Dense, sparse_from_dense
from tests.windows import run_windows

DATA = Path(__file__).parents[1] / "data" / "lava"


def load(name):
    arrays = np.load(DATA / f"vectors_lava_{name}.npz")
    return arrays, json.loads(str(arrays["meta"]))


LIF_ARRAYS, LIF_CASES = load("lif")
DENSE_ARRAYS, DENSE_CASES = load("dense")
NET_ARRAYS, NET_CASES = load("net")
BUILT_LIF = [i for i, case in enumerate(LIF_CASES) if case["kind"] in ("lif", "reset")]
FEED_FORWARD = [i for i, case in enumerate(NET_CASES) if not case["rec"]]
SIGN_MODES = {"MIXED": "mixed", "EXC": "excitatory", "INH": "inhibitory", "NULL": "excitatory"}


@pytest.mark.parametrize("index", BUILT_LIF)
def test_lif_program_equals_lava(index):
    case = LIF_CASES[index]
    a, mant, exp, u, v, want_s, want_u, want_v = (
        LIF_ARRAYS[f"c{index:03d}_{key}"].astype(np.int64)
        for key in ("a", "mant", "exp", "u0", "v0", "s", "u", "v")
    )
    mant = mant.astype(np.int16).astype(np.int64)  # Lava stores mantissas in 16 bits
    params = {
        **lif(du=case["du"], dv=case["dv"], vth=case["vth"]),
        "bias_mant": mant,
        "bias_exp": exp,
    }
    for k in range(a.shape[1]):
        if case["kind"] == "reset" and (k + 1 - case["offset"]) % case["interval"] == 0:
            u, v = np.zeros_like(u), np.zeros_like(v)
        words = step(LIF, {"u": u, "v": v}, params, a[:, k])
        u, v = words["u"], words["v"]
        assert np.array_equal(words["s"], want_s[:, k])
        assert np.array_equal(u, want_u[:, k])
        assert np.array_equal(v, want_v[:, k])


@pytest.mark.parametrize("index", range(len(DENSE_CASES)))
def test_projections_deliver_what_lava_delivers(index):
    case = DENSE_CASES[index]
    key = f"c{index:03d}_"
    weight = DENSE_ARRAYS[key + "w"].astype(np.int64)  # float weights lose their fraction first
    mode = SIGN_MODES[case["mode"]] if case["mode"] else natural_sign_mode(weight)
    weight = stored_weight(weight, case["nbits"], mode)
    sent = DENSE_ARRAYS[key + "s"].astype(np.int64)
    sent = list((sent != 0 if case["msg"] == 0 else sent).astype(np.int64).T)
    delay = DENSE_ARRAYS[key + "delay"] if key + "delay" in DENSE_ARRAYS else np.zeros_like(weight)
    delay = delay.astype(np.int64)
    build = sparse_from_dense if "sparse" in case["kind"] else lambda w: Dense(weight=w)
    projections = [
        Projection(
            name="p", source="x", target="y", delay=int(d),
            synapse=build(np.where(delay == d, weight, 0)),
            sign_mode=mode, weight_bits=case["nbits"], weight_exp=case["exp"],
        )
        for d in np.unique(delay)
    ]  # fmt: skip
    want = DENSE_ARRAYS[key + "o"]
    beyond = 0
    for t in range(want.shape[1]):
        got = wrap(sum(deliver(p, triples(p.synapse), sent, t) for p in projections), 32)
        # DelayDense sums in 64 bits before a right shift; a verified network never gets there.
        inside = np.ones(len(got), dtype=bool)
        if case["kind"] == "ddense" and case["exp"] < 0:
            inside = magnitude(projections, sent, t) < 2**31
        beyond += np.count_nonzero(~inside)
        assert np.array_equal(got[inside], want[inside, t]), f"step {t} of {case}"
        simulated = wrap(sum(simulated_delivery(p, sent, t) for p in projections), 32)
        assert np.array_equal(simulated, got), f"simulator, step {t} of {case}"
    assert beyond < 0.5 * want.size


def simulated_delivery(projection, sent, t):
    """What the simulator's own synapses deliver at chip step t."""
    at = t - 1 - projection.delay
    if at < 0:
        return np.zeros(projection.synapse.n_out, dtype=np.int64)
    peak = max(int(np.abs(s).max()) for s in sent)
    return delivery(projection, peak)(sent[at][None])[0].astype(np.int64)


def magnitude(projections, sent, t):
    """Largest |sum| of one delay's terms, per target."""
    sums = [
        np.abs(p.synapse.weight @ sent[t - 1 - p.delay])
        for p in projections
        if t - 1 - p.delay >= 0
    ]
    return np.max(sums, axis=0) if sums else np.zeros(projections[0].synapse.n_out)


def recorded_net(index):
    """A recorded two-layer net: one sample as long as the recording, no reset inside it."""
    case, key = NET_CASES[index], f"c{index:03d}_"
    w1, w2, b1, b2, s = (
        NET_ARRAYS[key + k].astype(np.int64) for k in ("w1", "w2", "b1", "b2", "s")
    )
    layers = [("h", w1, b1, "1", case["e1"], 2), ("y", w2, b2, "2", 0, 0)]
    network = Network(
        name="recorded",
        steps=s.shape[1],
        sources=(Source(name="x", shape=(s.shape[0],)),),
        populations=tuple(
            Population(
                name=name,
                shape=bias.shape,
                program=LIF,
                params=lif(
                    du=case[f"du{n}"],
                    dv=case[f"dv{n}"],
                    vth=case[f"vth{n}"],
                    bias_mant=bias,
                    bias_exp=bias_exp,
                ),
                wave=0,
            )
            for name, _, bias, n, _, bias_exp in layers
        ),
        projections=tuple(
            Projection(
                name=f"w{n}",
                source=source,
                target=name,
                synapse=Dense(weight=stored_weight(weight, 8, "mixed")),
                weight_exp=exp,
            )
            for source, (name, weight, _, n, exp, _) in zip(("x", "h"), layers, strict=True)
        ),
        outputs=(Output(name="y", population="y", shape=b2.shape, readout="spikes", decode="sum"),),
    )
    return network, {"x": s.T[:, None, :]}, NET_ARRAYS[key + "o1"], NET_ARRAYS[key + "o2"]


@pytest.mark.parametrize("index", FEED_FORWARD)
def test_nets_equal_lava(index):
    network, inputs, o1, o2 = recorded_net(index)
    traces = run_reference(network, inputs, record=("h", "y"))
    assert np.array_equal(traces["h"].spikes[:, 0].T, o1)
    assert np.array_equal(traces["y"].spikes[:, 0].T, o2)
    assert 0.01 < o1.mean() < 0.6
    assert 0.01 < o2.mean() < 0.6


@pytest.mark.parametrize("index", FEED_FORWARD)
def test_the_simulators_kernels_equal_lava_on_nets(index):
    network, inputs, o1, o2 = recorded_net(index)
    sent = inputs["x"][:, 0]
    exists = np.ones((1, len(sent)), dtype=bool)
    for population, projection, want in zip(
        network.populations, network.projections, (o1, o2), strict=True
    ):
        arriving = delivery(projection, 1)(sent)[:-1]  # what is sent at t arrives at t + 1
        a = np.concatenate([np.zeros_like(arriving[:1]), arriving])[None].astype(np.int32)
        sent = run_windows(a, kernel(population.params), exists, states=False).spikes[0]
        assert np.array_equal(sent.T, want)
