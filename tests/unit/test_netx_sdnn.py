"""Sigma-delta `.net` files: read as the integers they hold, run as their equations say."""

from dataclasses import replace

import h5py
import nir
import numpy as np
import pytest
import sdnn_files as files
from chains import graph_model

import snndeploy
from hwtargets.simulator import SIMULATOR
from snndeploy.errors import ModelError, UnsupportedError
from snndeploy.exporters.netx import netx_file
from snndeploy.frontends import nir_file
from snndeploy.frontends.checkpoint import write_model
from snndeploy.frontends.netx_file import INTEGER
from snndeploy.frontends.netx_sdnn import sigma_delta_neuron
from snndeploy.ir.interpret import run_reference
from snndeploy.ir.program import INT32
from snndeploy.ir.text import print_network
from snndeploy.nirgraph.interpret import run_float
from snndeploy.nirgraph.metadata import with_semantics
from snndeploy.passes.payload import edge_payloads

N_FILES, STEPS, SAMPLES = 12, 10, 3


def load(path, layers, **facts):
    path.write_bytes(files.file_bytes(layers, **facts))
    return replace(snndeploy.load(path), steps=STEPS)


def neurons(model):
    return tuple(name for name in model.graph.nodes if name.startswith("neuron"))


@pytest.mark.parametrize("biased", [False, True])
def test_float_model_and_reference_are_the_equations_by_hand(tmp_path, tell, biased):
    compared = spoke = 0
    for seed in range(N_FILES):
        layers = files.random_layers(seed, biased=biased)
        x = files.frames(layers, steps=STEPS, samples=SAMPLES, seed=seed)
        model = load(tmp_path / "a.net", layers)
        names = neurons(model)
        want = files.by_hand(layers, x)
        floats = run_float(model, {"input": x.astype(float)}, record=names)
        compiled = snndeploy.compile(model, "loihi")
        assert not compiled.violations
        assert all(layer.exact and not layer.why for layer in compiled.layers)
        traces = run_reference(compiled.network, {"input": x}, record=names)
        for name, (out, level) in zip(names, want, strict=True):
            np.testing.assert_array_equal(floats[name].reshape(out.shape), out, f"{seed} {name}")
            trace = traces[name]
            np.testing.assert_array_equal(trace.spikes.reshape(out.shape), out, f"{seed} {name}")
            word = trace.states.get("act", trace.spikes)
            np.testing.assert_array_equal(word.reshape(out.shape), level, f"{seed} {name}")
            compared += out.size
            share = np.mean(out != 0)
            spoke += 0.005 < share < 1 or name == names[-1]
            assert spoke, (seed, name, share)
    kind = "with" if biased else "without"
    tell(f"{N_FILES} SDNN files {kind} biases, by hand = float = reference: {compared:,} messages")


def test_the_simulator_computes_it_too(tmp_path):
    layers = files.random_layers(4)
    x = files.frames(layers, steps=STEPS, samples=SAMPLES)
    network = snndeploy.compile(load(tmp_path / "a.net", layers), "loihi").network
    names = tuple(network.population)
    want = run_reference(network, {"input": x}, record=names)
    got = SIMULATOR.run(network, {"input": x}, record=names).traces
    for name in names:
        np.testing.assert_array_equal(got[name].spikes, want[name].spikes)
        for word, values in want[name].states.items():
            np.testing.assert_array_equal(got[name].states[word], values)


def test_registers_are_those_that_netx_gives_to_lava(tmp_path):
    layers = files.random_layers(2)
    layers[0]["neuron"]["vThMant"], layers[1]["neuron"]["vThMant"] = 3, 5
    model = load(tmp_path / "a.net", layers)
    delta, hidden = (model.graph.nodes[name] for name in neurons(model)[:2])
    own = {key: p.value for key, p in delta.parameters.items()}
    assert (own["vth"], own["spike_exp"], own["state_exp"]) == (3 << 12, 6, 6)
    own = {key: p.value for key, p in hidden.parameters.items()}
    assert (own["vth"], own["relu"], own["state_exp"], own["cum_error"]) == (5 << 12, 1, 6, 0)
    channels, *size = layers[1]["shape"]
    want = np.repeat(layers[1]["bias"] * 4096, np.prod(size))
    np.testing.assert_array_equal(own["bias"], want)
    assert model.graph.nodes[neurons(model)[-1]].program.name == "sigma"
    assert [port.decode for port in model.outputs] == ["last"]
    assert channels == len(layers[1]["bias"])


def test_no_message_makes_a_sum_wrap(tmp_path):
    for seed in range(N_FILES):
        model = load(tmp_path / "a.net", files.random_layers(seed))
        network = snndeploy.compile(model, "loihi").network
        for (source, target), payload in edge_payloads(model).items():
            assert payload.is_whole, (source, target)
            assert INT32[0] <= payload.low <= 0 <= payload.high <= INT32[1], (source, target)
        for name, population in network.population.items():
            assert -population.low == population.high < 1 << 23, name
            assert population.high > 50_000 or population.program.name == "delta", name


def test_a_delta_sends_no_more_than_its_input_can_change(tmp_path):
    layers = files.random_layers(1)
    layers[0] |= {"weight": np.full((1, 1), 64.0), "bias": np.full((1, 1), -2.0)}
    layers[0]["neuron"]["vThMant"] = 0
    model = load(tmp_path / "a.net", layers)
    (port,) = model.inputs
    assert (port.low, port.high) == (-66, 62)
    x = np.where(np.arange(STEPS) % 2, port.low, port.high).reshape(STEPS, 1, 1)
    x = np.broadcast_to(x, (STEPS, 1, *port.shape))
    sent = run_float(model, {"input": x}, record=("neuron0",))["neuron0"]
    assert np.abs(sent).max() == model.graph.nodes["neuron0"].payload[1] == 128 << 6


def test_what_the_file_leaves_open_is_said(tmp_path):
    notes = [note.text for note in load(tmp_path / "a.net", files.random_layers(0)).notes]
    assert "int(80 * x + -34) of x in 0..1" in notes[0]
    assert "spike_exp=6" in notes[1]
    assert "before the input is there" in notes[2]
    unbiased = files.random_layers(3, biased=False)
    notes = [note.text for note in load(tmp_path / "a.net", unbiased).notes]
    assert "spike_exp=6" in notes[0]
    assert "end at 8,388,607" in notes[1]
    assert len(notes) == 2


def test_integers_wrap_and_floor_in_the_float_model_as_on_the_chip(tmp_path):
    """Changes of one sign, until a sum of 32 bits is over."""
    layers = files.random_layers(3)
    for layer in layers[1:]:
        layer["weight"] = np.where(layer["weight"] > 0, 200, 2).astype(np.float32)
    model = replace(load(tmp_path / "a.net", layers), steps=700)
    x = np.full((700, 1, 12), files.LARGEST_CHANGE)
    compiled = snndeploy.compile(model, "loihi")
    names = neurons(model)
    want = run_reference(compiled.network, {"input": x}, record=names)
    got = run_float(model, {"input": x.astype(float)}, record=names)
    for name in names:
        np.testing.assert_array_equal(got[name], want[name].spikes)
    sigma = want[names[0]].states["sigma"]
    assert (np.diff(sigma, axis=0) < 0).any()  # it wrapped
    unbounded = files.by_hand(layers, x)[0][1]
    assert unbounded.max() > INT32[1]


def test_a_loop_of_integer_neurons_computes_in_integers():
    rng = np.random.default_rng(0)
    own = with_semantics(sigma_delta_neuron(1, rng.integers(0, 4, 6)), INTEGER)
    nodes = {
        "w": nir.Linear(weight=files.even_weights(rng, 6, 4).astype(float)),
        "own": own,
        "back": nir.Linear(weight=files.even_weights(rng, 6, 6).astype(float) / 4 // 2 * 2),
    }
    edges = [("input", "w"), ("w", "own"), ("own", "back"), ("back", "own"), ("own", "output")]
    model = graph_model(nodes, edges, inputs={"input": (4,)}, outputs={"output": (6,)}, steps=STEPS)
    x = rng.integers(-2000, 2000, (STEPS, 2, 4))
    port = replace(model.inputs[0], values="real", low=-2000.0, high=2000.0)
    model = replace(model, semantics=INTEGER, inputs=(port,))
    got = run_float(model, {"input": x.astype(float)})["output"]
    sigma = before = rest = np.zeros((2, 6), dtype=np.int64)
    bias, sent = own.parameters["bias"].value.astype(np.int64), np.zeros((2, 6), dtype=np.int64)
    for t in range(STEPS):
        arriving = x[t] @ nodes["w"].weight.T.astype(int) + sent @ nodes["back"].weight.T.astype(
            int
        )
        sigma = sigma + arriving
        level = np.maximum(sigma + bias, 0)
        due = level - before + rest
        told = np.where(np.abs(due) >= 1 << 12, due, 0)
        rest, before, sent = due - told, level, told >> 6
        np.testing.assert_array_equal(got[t], sent)
    assert 0.1 < np.mean(got != 0) < 1


# ---- where it goes -----------------------------------------------------------------------------


def test_a_saved_model_compiles_to_the_same_network(tmp_path):
    model = load(tmp_path / "a.net", files.random_layers(6))
    write_model(model, tmp_path / "a.pt")
    texts = [
        print_network(snndeploy.compile(replace(m, origin="a"), "loihi").network)[0]
        for m in (model, snndeploy.load(tmp_path / "a.pt"))
    ]
    assert texts[0] == texts[1]


def test_nir_and_netx_files_of_it_are_refused(tmp_path):
    model = load(tmp_path / "a.net", files.random_layers(1))
    with pytest.raises(UnsupportedError) as caught:
        nir_file.write(model, tmp_path / "a.nir")
    assert caught.value.code == "E2020"
    with pytest.raises(UnsupportedError) as caught:
        netx_file(snndeploy.compile(model, "loihi").network)
    assert caught.value.code == "E2411"


# ---- refusals ----------------------------------------------------------------------------------


def put(place, value):
    def change(file):
        if place in file:
            del file[place]
        file[place] = value

    return change


CUBA = {"iDecay": 4096, "vDecay": 0, "vThMant": 5}


def cuba(place):
    def change(file):
        del file[place]
        for key, value in CUBA.items():
            file[f"{place}/{key}"] = value
        file[f"{place}/type"] = np.bytes_("CUBA")

    return change


REFUSALS = {
    "a CUBA layer": (cuba("layer/2/neuron"), "E2416", "'CUBA' behind those of SDNN"),
    "a CUBA input": (cuba("layer/0/neuron"), "E2416", "an input with neurons of type 'CUBA'"),
    "a stranger": (put("layer/1/neuron/type", np.bytes_("RF")), "E2416", "neurons of type 'RF'"),
    "a sigmoid": (put("layer/1/neuron/activation", np.bytes_("tanh")), "E2416", "'tanh'"),
    "delays": (put("layer/1/delay", np.ones(3)), "E2416", "delays"),
    "a second input": (put("layer/1/type", np.bytes_("input")), "E2416", "behind another layer"),
    "a bias at the sum": (put("layer/3/bias", np.ones(13)), "E2416", "adds up"),
    "no neuron": (lambda file: file["layer/1"].pop("neuron"), "E2416", "without a neuron"),
    "no threshold": (lambda file: file["layer/1/neuron"].pop("vThMant"), "E1411", "vThMant"),
    "below 0": (put("layer/1/neuron/vThMant", -1), "E1411", "vThMant -1"),
    "two thresholds": (put("layer/1/neuron/vThMant", np.ones(2)), "E1411", "not a network"),
    "half a bias": (lambda file: file["layer/1/bias"].write_direct(
        np.full(file["layer/1/bias"].shape, 0.5, np.float32)), "E1411", "no whole number"),
    "a wide input": (put("layer/0/weight", 1e7), "E1411", "an input from -10000000"),
    "an endless input": (put("layer/0/weight", np.inf), "E1411", "not a network"),
    "no weight": (put("layer/0/weight", np.zeros(0)), "E1411", "not a network"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSALS)
def test_other_files_are_refused_by_name(tmp_path, case):
    change, code, text = REFUSALS[case]
    layers = files.random_layers(1)
    assert [layer["type"] for layer in layers] == ["input", "dense", "dense", "dense"]
    path = tmp_path / "a.net"
    path.write_bytes(files.file_bytes(layers))
    with h5py.File(path, "r+") as file:
        if case == "a bias at the sum":
            change = put("layer/3/bias", np.ones(file["layer/3/weight"].shape[0]))
        change(file)
    with pytest.raises((ModelError, UnsupportedError), match=text) as caught:
        snndeploy.load(path)
    assert caught.value.code == code


NOT_WHOLE = {
    "odd weights": ("weight", lambda w: np.where(w == 2, 3, w), "grid of 8 bits"),
    "halves": ("weight", lambda w: w + 0.5, "grid of 8 bits"),
    "a far threshold": ("vThMant", lambda _: 1 << 20, "vth beyond the registers"),
    "a far bias": ("bias", lambda b: b + (1 << 20), "bias beyond the registers"),
}


def test_a_convolution_with_delays_is_refused(tmp_path):
    layers = files.random_layers(2)
    layers[1]["delay"] = np.ones(layers[1]["shape"][0])
    with pytest.raises(UnsupportedError, match="delays") as caught:
        load(tmp_path / "a.net", layers)
    assert caught.value.code == "E2416"


@pytest.mark.parametrize("case", NOT_WHOLE)
def test_numbers_off_the_chip_s_grid_are_refused_by_compilation(tmp_path, case):
    key, change, text = NOT_WHOLE[case]
    layers = files.random_layers(1)
    place = layers[1]["neuron"] if key == "vThMant" else layers[1]
    place[key] = change(place[key])
    with pytest.raises(UnsupportedError, match=text) as caught:
        snndeploy.compile(load(tmp_path / "a.net", layers), "loihi")
    assert caught.value.code == "E2415"


def test_inputs_whose_sums_may_wrap_are_refused_by_compilation(tmp_path):
    layers = files.random_layers(3)
    model = load(tmp_path / "a.net", layers)
    wide = replace(model.inputs[0], low=-(2.0**23), high=2.0**23 - 1)
    with pytest.raises(UnsupportedError, match="wrap at 2,147,483,648") as caught:
        snndeploy.compile(replace(model, inputs=(wide,)), "loihi")
    assert caught.value.code == "E2415"
