"""`.net` files: written bit for bit or refused, and read back as the same integers."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from sequences import mixed_sequence, random_sequence

import snndeploy
from snndeploy.errors import ModelError, UnsupportedError
from snndeploy.exporters.netx import kept_by_netx, netx_file
from snndeploy.ir.interpret import run_reference
from snndeploy.ir.network import Network, Output, Population, Projection, Source
from snndeploy.ir.neurons import LIF, lif
from snndeploy.ir.programs import LIF_SUBTRACT, lif_subtract
from snndeploy.ir.synapses import Conv, Dense
from snndeploy.nirgraph.interpret import run_float

KEPT = Path(__file__).parents[1] / "data" / "netx" / "kept.npz"
N_SEQUENCES = 40
NOT_WRITTEN = ("E2412", "E2413", "E2414")


def test_what_netx_keeps_is_what_it_and_lava_were_seen_to_keep():
    right = refused = 0
    with np.load(KEPT) as arrays:
        for index in range(len(arrays.files) // 2):
            weight = arrays[f"weight{index}"].astype(np.int64)
            acts, kept = arrays[f"acts{index}"], kept_by_netx(weight)
            if kept is None:
                refused += 1
                is_safe_anyway = np.array_equal(acts, weight)
                assert not is_safe_anyway or (weight.max() == 0 and weight.any())
            else:
                np.testing.assert_array_equal(acts, kept)
                right += np.array_equal(kept, weight)
    assert right > 100
    assert refused > 10


def chain(weight, *, params=None, program=LIF, **source):
    n_out, n_in = weight.shape
    return Network(
        name="chain",
        steps=6,
        sources=(Source(name="in", shape=(n_in,), **source),),
        populations=(
            Population(
                name="fc", shape=(n_out,), program=program, wave=1,
                params=params or lif(du=4095, dv=0, vth=100),
            ),
        ),
        projections=(
            Projection(name="w", source="in", target="fc", synapse=Dense(weight=weight)),
        ),
        outputs=(
            Output(name="y", population="fc", shape=(n_out,), readout="spikes", decode="sum"),
        ),
    )  # fmt: skip


MIXED = np.array([[254, -254], [2, 0], [-20, 40]])


def test_a_file_holds_the_registers_by_netx_s_names(tmp_path):
    params = lif(du=100, dv=200, vth=300, bias_mant=np.array([1, -2, 3]), bias_exp=7)
    (tmp_path / "a.net").write_bytes(netx_file(chain(MIXED, params=params))[0])
    with h5py.File(tmp_path / "a.net") as file:
        assert list(file["layer"]) == ["0", "1"]
        given, layer = file["layer/0"], file["layer/1"]
        assert (given["type"][0], layer["type"][0]) == (b"input", b"dense")
        assert "neuron" not in given
        np.testing.assert_array_equal(layer["weight"][()], MIXED)
        np.testing.assert_array_equal(layer["bias"][()], [2, -4, 6])  # 64 times it is mant << 7
        neuron = {name: value[()] for name, value in layer["neuron"].items()}
    assert neuron["type"][0] == b"CUBA"
    assert (neuron["iDecay"], neuron["vDecay"], neuron["vThMant"]) == (101, 200, 300)


def test_the_same_network_gives_the_same_bytes():
    assert netx_file(chain(MIXED)) == netx_file(chain(MIXED))


def per_neuron(weight):
    return chain(weight, params={**lif(du=4095, dv=0, vth=100), "vth": np.array([1, 2, 3])})


def subtracting(weight):
    return chain(weight, program=LIF_SUBTRACT, params=lif_subtract(du=4095, dv=0, threshold=640))


def biased(weight):
    return chain(weight, params=lif(du=4095, dv=0, vth=100, bias_mant=5, bias_exp=3))


def two_inputs(weight):
    network = chain(weight)
    other = replace(network.sources[0], name="other")
    more = replace(network.projections[0], name="v", source="other")
    return replace(
        network, sources=(*network.sources, other), projections=(*network.projections, more)
    )


def looped(weight):
    network = chain(weight)
    back = Projection(
        name="back", source="fc", target="fc", lag=1, synapse=Dense(weight=2 * np.eye(3, dtype=int))
    )
    return replace(network, projections=(*network.projections, back))


def with_exponent(weight):
    network = chain(weight)
    return replace(network, projections=(replace(network.projections[0], weight_exp=2),))


@pytest.mark.parametrize(
    ("make", "weight", "code"),
    [
        (two_inputs, MIXED, "E2410"),
        (looped, MIXED, "E2410"),
        (subtracting, MIXED, "E2411"),
        (per_neuron, MIXED, "E2411"),
        (biased, MIXED, "E2413"),
        (with_exponent, MIXED, "E2414"),
        (chain, np.zeros((3, 2), dtype=int), "E2414"),
        (chain, -np.abs(MIXED), "E2414"),
        (chain, np.full((3, 2), -128), "E2414"),
        (chain, np.full((3, 2), -256), "E2414"),
    ],
)
def test_what_netx_would_change_is_refused(make, weight, code):
    with pytest.raises(UnsupportedError) as caught:
        netx_file(make(weight))
    assert caught.value.code == code


def test_a_convolution_whose_sums_lava_wraps_is_refused():
    conv = Conv(weight=np.full((1, 3, 3, 3), 254), in_shape=(3, 5, 5))
    network = chain(MIXED[:, :1].T[:1])
    big = replace(
        network,
        sources=(Source(name="in", shape=(3, 5, 5), low=-2000, high=2000, encoding="graded"),),
        populations=(replace(network.populations[0], shape=conv.out_shape),),
        projections=(replace(network.projections[0], synapse=conv),),
        outputs=(replace(network.outputs[0], shape=conv.out_shape),),
    )
    with pytest.raises(UnsupportedError, match="wrap at"):
        netx_file(big)


def read_back(network, inputs, path):
    """Check that a file compiles to the same states, and runs to the same spikes in float.

    Returns the cells compared, and the spiking layers whose float spikes were.
    """
    path.write_bytes(netx_file(network)[0])
    model = snndeploy.load(path)
    compiled = snndeploy.compile(model, "loihi")
    frames = next(iter(inputs.values()))
    names = tuple(compiled.network.population)
    want = run_reference(network, inputs, record=tuple(network.population))
    got = run_reference(compiled.network, {"input": frames}, record=names)
    for mine, theirs in zip(got.values(), want.values(), strict=True):
        for word, values in theirs.states.items():
            np.testing.assert_array_equal(mine.states[word], values, word)
    spiking = tuple(name for name in names if name.startswith("neuron"))
    answers = run_float(model, {"input": frames.astype(float)}, record=spiking)
    for name in spiking:
        spikes = got[name].spikes
        np.testing.assert_array_equal(answers[name].reshape(spikes.shape), spikes)
    return sum(trace.spikes.size for trace in want.values()), len(spiking)


def test_all_kinds_of_layers_read_back(tmp_path):
    network, inputs = mixed_sequence()
    traces = run_reference(network, inputs, record=tuple(network.population))
    assert all(0.05 < trace.spikes.mean() < 0.95 for trace in traces.values())
    _, spiking = read_back(network, inputs, tmp_path / "a.net")
    assert spiking == 4


def test_a_file_read_back_compiles_to_the_same_spikes_and_states(tmp_path, tell):
    codes = Counter()
    compared = layers = 0
    for seed in range(N_SEQUENCES):
        network, inputs = random_sequence(seed)
        try:
            cells, spiking = read_back(network, inputs, tmp_path / "a.net")
        except (UnsupportedError, ModelError) as error:
            codes[error.code] += 1
            continue
        compared, layers = compared + cells, layers + spiking
    tell(
        f"{N_SEQUENCES} sequences: {N_SEQUENCES - codes.total()} .net files read back, "
        f"{compared:,} cells and {layers} float layers equal; refused {dict(sorted(codes.items()))}"
    )
    assert set(codes) <= {*NOT_WRITTEN, "E2415", "E2416"}
    assert N_SEQUENCES - codes.total() >= 25


def changed(tmp_path, change):
    path = tmp_path / "a.net"
    path.write_bytes(netx_file(chain(MIXED))[0])
    with h5py.File(path, "r+") as file:
        change(file)
    return path


def set_value(place, value):
    def change(file):
        del file[place]
        file[place] = value

    return change


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda file: file.pop("layer"), "E1411"),
        (lambda file: file["layer/1"].pop("weight"), "E1411"),
        (lambda file: file["layer/1/neuron"].pop("vThMant"), "E1411"),
        (set_value("layer/1/neuron/iDecay", 5000), "E1411"),
        (set_value("layer/1/shape", np.array([7])), "E1411"),
        (lambda file: file["layer/1"].pop("neuron"), "E2416"),
        (set_value("layer/1/neuron/type", np.bytes_("RF")), "E2416"),
        (set_value("layer/1/type", np.bytes_("average")), "E2416"),
        (lambda file: file["layer/1"].create_dataset("delay", data=np.ones(3)), "E2416"),
    ],
)
def test_other_files_are_refused(tmp_path, change, code):
    path = changed(tmp_path, change)
    with pytest.raises((ModelError, UnsupportedError)) as caught:
        snndeploy.load(path)
    assert caught.value.code == code


def test_links_to_other_files_are_refused(tmp_path):
    def link(file):
        del file["layer/1/weight"]
        file["layer/1/weight"] = h5py.ExternalLink("/etc/passwd", "x")

    with pytest.raises(ModelError) as caught:
        snndeploy.load(changed(tmp_path, link))
    assert caught.value.code == "E1030"


def test_weights_off_the_grid_are_refused_by_compilation(tmp_path):
    path = changed(tmp_path, set_value("layer/1/weight", np.array([[1.0, -3.5]] * 3)))
    with pytest.raises(UnsupportedError) as caught:
        snndeploy.compile(snndeploy.load(path), "loihi")
    assert caught.value.code == "E2415"
