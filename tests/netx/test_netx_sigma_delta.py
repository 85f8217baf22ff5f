"""lava-dl's netx, on Lava, computes from sigma-delta `.net` files what we read from them.

netx starts all its layers at once, where a layer of ours starts with its input. So networks without
biases are compared as they are, layer by layer with one step between them; those with biases as the
same network without waves (`at_once`): every layer acts from the first step on and takes what the
one before it sent in the step before.
"""

from dataclasses import replace
from math import prod
from pathlib import Path

import numpy as np
import pytest
import sdnn_files as files
from asking import PYTHON, SLAYER, ask, ask_netx

import snndeploy
from snndeploy.ir.interpret import run_reference
from snndeploy.ir.network import Source
from snndeploy.nirgraph.interpret import run_float

N_FILES, STEPS = 6, 16
BITS = 16
pytestmark = pytest.mark.skipif(not PYTHON, reason="make test-netx runs it")


def at_once(network):
    """Return a network without waves: a layer takes what was sent in the step before."""
    return replace(
        network,
        populations=tuple(replace(p, wave=0) for p in network.populations),
        projections=tuple(replace(p, lag=1, delay=0) for p in network.projections),
    )


def compiled(path, data, steps):
    path.write_bytes(data)
    return snndeploy.compile(snndeploy.load(path), "loihi", steps=steps).network


def same(trace, answer, index, where):
    """Compare a layer's words over all steps that both have; return how many values."""
    words = {"out": trace.spikes, **trace.states}
    compared = 0
    for word, mine in words.items():
        theirs = answer.get(f"{word}{index}")
        if theirs is not None:
            n = min(len(mine), len(theirs))
            np.testing.assert_array_equal(mine[:n, 0], theirs[:n], f"{where} {word}{index}")
            compared += mine[:n].size
    return compared


def test_netx_without_biases_equals_the_reference_layer_by_layer(tmp_path, tell):
    compared = spoke = 0
    for seed in range(N_FILES):
        layers = files.random_layers(seed, biased=False)
        data, x = files.file_bytes(layers), files.frames(layers, steps=STEPS, samples=1, seed=seed)
        network = compiled(tmp_path / "read.net", data, STEPS)
        want = run_reference(network, {"input": x}, record=tuple(network.population))
        answer = ask_netx(
            tmp_path, data, x.reshape(STEPS, -1), shape=x.shape[2:], message_bits=BITS
        )
        delay = 0 if files.has_delta(layers) else 1
        for index, trace in enumerate(want.values()):
            late = {name: words[index + delay :] for name, words in answer.items()}
            compared += same(trace, late, index, seed)
        spoke += all(np.mean(trace.spikes != 0) > 0.01 for trace in want.values())
    tell(f"{N_FILES} SDNN files without biases, netx on Lava = reference: {compared:,} words")
    assert spoke >= N_FILES - 1


def test_netx_with_biases_equals_the_reference_without_waves(tmp_path, tell):
    compared = 0
    for seed in range(N_FILES, 2 * N_FILES):
        layers = files.random_layers(seed)
        data, x = files.file_bytes(layers), files.frames(layers, steps=STEPS, samples=1, seed=seed)
        network = at_once(compiled(tmp_path / "read.net", data, STEPS))
        want = run_reference(network, {"input": x}, record=tuple(network.population))
        given = x.reshape(STEPS, -1)
        if files.has_delta(layers):  # ours takes it a step later, from the source
            given = np.concatenate([0 * given[:1], given[:-1]])
        answer = ask_netx(tmp_path, data, given, shape=x.shape[2:], message_bits=BITS)
        compared += sum(same(t, answer, i, seed) for i, t in enumerate(want.values()))
    tell(f"{N_FILES} SDNN files with biases, netx on Lava = reference: {compared:,} words")
    assert compared > 10_000


# ---- the trained network that lava-dl ships ----------------------------------------------------


@pytest.fixture(scope="module")
def pilotnet():
    """The folder of lava-dl's own test of PilotNet."""
    packages = Path(PYTHON).parents[1] / "lib" / "python3.10" / "site-packages"
    folder = packages / "tests/lava/lib/dl/netx/gts/pilotnet_sdnn"
    if not (folder / "network.net").exists():
        pytest.skip("lava-dl came without its tests")
    return folder


def shown(pilotnet, steps):
    """Return its one frame [steps, 1, C, H, W]; the file has it W, H, C, T."""
    frame = np.load(pilotnet / "input.npy").transpose(3, 2, 1, 0).astype(np.int64)
    return np.repeat(frame[:, None], steps, axis=0)


def test_the_shipped_network_answers_what_lava_dl_expects_of_it(pilotnet):
    """Its expected output starts with what the biases send, and counts from the first step."""
    expected = np.load(pilotnet / "output.npy").reshape(-1)
    steps = len(expected)
    network = at_once(
        snndeploy.compile(snndeploy.load(pilotnet / "network.net"), "loihi", steps=steps).network
    )
    first, *others = network.populations
    told = Source(
        name=first.name, shape=first.shape, low=first.low, high=first.high, encoding="graded"
    )
    rest = replace(
        network, sources=(told,), populations=tuple(others), projections=network.projections[1:]
    )
    x = shown(pilotnet, steps) << files.SPIKE_EXP  # all of the frame at once, then no change
    x[1:] = 0
    last = others[-1].name
    trace = run_reference(rest, {first.name: x}, record=(last,))[last]
    np.testing.assert_array_equal(trace.spikes.reshape(-1), expected)
    assert len(set(expected)) > 6


def test_the_shipped_network_holds_in_netx_what_it_holds_here(pilotnet, tmp_path, tell):
    steps = 12
    data = (pilotnet / "network.net").read_bytes()
    network = at_once(compiled(tmp_path / "read.net", data, steps))
    scene = shown(pilotnet, steps)
    scene[0] = 0
    scene[6:] //= 2  # a change on the way
    x = np.concatenate([scene[1:], scene[-1:]])  # ours takes it a step later
    want = run_reference(network, {"input": x}, record=tuple(network.population))
    given, dense = scene.reshape(steps, -1), 5
    answer = ask_netx(tmp_path, data, given, shape=x.shape[2:], message_bits=BITS, first=dense)
    compared = sum(same(t, answer, i, "") for i, t in enumerate(want.values()))
    tell(f"lava-dl's PilotNet, netx on Lava = reference: {compared:,} words of its dense layers")
    assert compared > 10 * prod((100,))


# ---- lava-dl's training code -------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
def test_lava_dl_s_own_file_runs_as_it_did_in_training(tmp_path, seed, tell):
    ask(SLAYER, seed, tmp_path / "a.net", tmp_path / "out.npz")
    model = snndeploy.load(tmp_path / "a.net")
    with np.load(tmp_path / "out.npz") as arrays:
        x, answers = arrays["x"], [arrays[f"out{i}"] for i in range(len(arrays.files) - 1)]
    names = tuple(name for name in model.graph.nodes if name.startswith("neuron"))
    assert len(names) == len(answers)
    assert any(model.graph.nodes[name].parameters["bias"].value.any() for name in names[1:-1])
    got = run_float(model, {"input": x}, record=names)
    for name, answer in zip(names, answers, strict=True):
        unit = 1 << 12 if name != names[-1] else 1 << 18  # of a message, and of their sums
        np.testing.assert_array_equal(got[name], answer.reshape(got[name].shape) * unit, name)
        assert np.mean(answer != 0) > 0.1
    tell(f"SDNN file {seed} that lava-dl trained with: {sum(a.size for a in answers):,} messages")
