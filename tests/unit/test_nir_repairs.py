"""`.nir` files that say too much, or too little: what is repaired, what is asked for."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import h5py
import nir
import numpy as np
import pytest

from snndeploy.errors import ModelError, UnsupportedError
from snndeploy.frontends import nir_file
from snndeploy.frontends.exporters import guess_exporter
from snndeploy.hdf5_heaps import check_heaps
from snndeploy.nirgraph.interpret import run_float
from snndeploy.nirgraph.metadata import with_semantics
from snndeploy.semantics import PRESETS, parse_choice

PAPER = Path(__file__).parents[1] / "data" / "nir_paper"
BRAILLE = PAPER / "03_rnn" / "braille_noDelay_bias_zero.nir"
SHAPE_NOTE = "has time or batch in front"


def lif(n=3, **changes):
    fields = {"tau": 2e-3, "r": 1.0, "v_leak": 0.0, "v_threshold": 0.01} | changes
    return nir.LIF(**{name: np.full(n, value) for name, value in fields.items()})


def ports(shape, out):
    return nir.Input({"input": np.array(shape)}), nir.Output({"output": np.array(out)})


def written(path, nodes, edges=None):
    graph = nir.NIRGraph(nodes, edges or list(pairwise(nodes)), type_check=False)
    nir.write(path, graph)
    return path


def answers(model, n=12, seed=3):
    (port,) = model.inputs
    x = np.random.default_rng(seed).normal(size=(30, 4, n)) * 2
    return run_float(model, {port.name: x.reshape(30, 4, *port.shape)})[model.outputs[0].name]


def texts(model, kind="repaired"):
    return [note.text for note in model.notes if note.kind == kind]


# ---- nested graphs -------------------------------------------------------------------------


def edit_nested(path, *, prefixed):
    """Nest lif1 of the Braille network as the paper's *_subgraph.nir files do, in the HDF5."""
    graph = nir.read(BRAILLE)
    start, end = ports((38,), (38,))
    nodes = {name: node for name, node in graph.nodes.items() if not name.startswith("lif1")}
    inner = {"lif": graph.nodes["lif1.lif"], "w_rec": graph.nodes["lif1.w_rec"]}
    loop = [("input", "lif"), ("lif", "w_rec"), ("w_rec", "lif"), ("lif", "output")]
    nested = {"input": start, **inner, "output": end}
    nodes["lif1"] = nir.NIRGraph(nested, loop, type_check=False)
    edges = [("input", "fc1"), ("fc1", "lif1"), ("lif1", "fc2"), ("fc2", "lif2"),
             ("lif2", "output")]  # fmt: skip
    written(path, nodes, edges)
    if prefixed:
        with h5py.File(path, "r+") as file:
            group = file["node/nodes/lif1/nodes"]
            for name in ("lif", "w_rec"):
                group.move(name, f"lif1.{name}")


@pytest.mark.parametrize("prefixed", [False, True])
def test_a_nested_recurrent_graph_is_the_flat_one(prefixed, tmp_path):
    edit_nested(tmp_path / "nested.nir", prefixed=prefixed)
    if prefixed:
        with pytest.raises(Exception, match="does not exist"):
            nir.read(tmp_path / "nested.nir")
    choice = parse_choice("snntorch,reset=zero")
    flat, nested = (nir_file.read(path, choice) for path in (BRAILLE, tmp_path / "nested.nir"))
    assert set(nested.graph.nodes) == set(flat.graph.nodes)
    assert set(nested.graph.edges) == set(flat.graph.edges)
    spikes = answers(flat)
    assert 0.01 < spikes.mean() < 0.5
    np.testing.assert_array_equal(answers(nested), spikes)
    assert any("the nested graph is flat" in text for text in texts(nested))
    assert any("read by ourselves" in text for text in texts(nested)) == prefixed


def test_a_nested_graph_with_two_inputs_is_refused(tmp_path):
    start, end = ports((3,), (3,))
    inner = nir.NIRGraph(
        {"a": start, "b": start, "n": lif(), "out": end},
        [("a", "n"), ("b", "n"), ("n", "out")], type_check=False,
    )  # fmt: skip
    path = written(tmp_path / "two.nir", {"input": start, "block": inner, "output": end})
    with pytest.raises(ModelError, match=r"E1420.*block: a nested graph with 2 Input nodes"):
        nir_file.read(path, PRESETS["nir"])


@pytest.mark.parametrize(
    "inside", [{"lif": lif()}, {"lif": lif(), "block.lif": lif()}], ids=["outside", "inside"]
)
def test_a_nested_graph_whose_nodes_would_take_a_name_is_refused(inside, tmp_path):
    start, end = ports((3,), (3,))
    edges = list(pairwise(("in", *inside, "out")))
    inner = nir.NIRGraph({"in": start, **inside, "out": end}, edges, type_check=False)
    outer = {} if len(inside) > 1 else {"block.lif": lif(tau=5e-3)}
    path = written(tmp_path / "a.nir", {"input": start, "block": inner, **outer, "output": end})
    with pytest.raises(ModelError, match=r"E1420.*block: made flat, two nodes would have one name"):
        nir_file.read(path, PRESETS["nir"])


def test_nested_graphs_may_be_nested(tmp_path):
    start, end = ports((3,), (3,))
    block = lif()
    for _ in range(3):
        block = nir.NIRGraph(
            {"input": start, "n": block, "output": end},
            [("input", "n"), ("n", "output")], type_check=False,
        )  # fmt: skip
    path = written(tmp_path / "deep.nir", {"input": start, "a": block, "output": end})
    model = nir_file.read(path, PRESETS["nir"])
    assert list(model.graph.nodes) == ["input", "a.n.n.n", "output"]


# ---- shapes --------------------------------------------------------------------------------


def test_shapes_with_a_batch_in_front_lose_it(tmp_path):
    start, end = ports((1, 3), (1, 1, 3))
    path = written(tmp_path / "batch.nir", {"input": start, "n": lif(), "output": end})
    model = nir_file.read(path, PRESETS["nir"])
    assert (model.inputs[0].shape, model.outputs[0].shape) == ((3,), (3,))
    assert sum(SHAPE_NOTE in text for text in texts(model)) == 2


def test_a_flatten_that_counts_the_batch_flattens_all(tmp_path):
    start, end = ports((2, 3, 3), (4,))
    nodes = {
        "input": start,
        "flat": nir.Flatten({"input": np.array([2, 3, 3])}, start_dim=1),
        "fc": nir.Affine(np.ones((4, 18)), np.zeros(4)),
        "output": end,
    }
    model = nir_file.read(written(tmp_path / "flat.nir", nodes), PRESETS["nir"])
    assert model.graph.nodes["flat"].start_dim == 0
    assert "it counted the batch: flattens from dimension 0, not 1" in texts(model)


def test_one_value_stands_for_all_neurons_where_nir_refuses(tmp_path):
    start, end = ports((3,), (3,))
    path = written(tmp_path / "mixed.nir", {"input": start, "n": lif(), "output": end})
    with h5py.File(path, "r+") as file:
        group = file["node/nodes/n"]
        del group["tau"], group["v_threshold"]
        group["tau"], group["v_threshold"] = 2e-3, np.full(1, 0.5)
    with pytest.raises(AssertionError):
        nir.read(path)
    node = nir_file.read(path, PRESETS["nir"]).graph.nodes["n"]
    assert (node.tau.tolist(), node.v_threshold.tolist()) == ([2e-3] * 3, [0.5] * 3)


def test_a_field_of_a_later_nir_is_left_out_and_noted(tmp_path):
    start, end = ports((3,), (3,))
    path = written(tmp_path / "later.nir", {"input": start, "n": lif(), "output": end})
    with h5py.File(path, "r+") as file:
        file["node/nodes/n"]["refractory"] = np.ones(3)
        file["node/nodes"].move("n", "block/n")
        del file["node/edges"]
        file["node"].create_dataset(
            "edges", data=np.array([["input", "block/n"], ["block/n", "output"]], dtype="S")
        )
    model = nir_file.read(path, PRESETS["nir"])
    assert list(model.graph.nodes) == ["input", "block.n", "output"]
    assert any("'refractory'" in text for text in texts(model))
    assert any("'block/n'" in text for text in texts(model))


def test_an_unknown_node_is_refused_by_name(tmp_path):
    start, end = ports((3,), (3,))
    path = written(tmp_path / "other.nir", {"input": start, "n": lif(), "output": end})
    with h5py.File(path, "r+") as file:
        del file["node/nodes/n/type"]
        file["node/nodes/n/type"] = "Izhikevich"
    with pytest.raises(UnsupportedError, match=r"E2020.*n: NIR node type Izhikevich"):
        nir_file.read(path, PRESETS["nir"])


def test_what_neither_reads_says_both_reasons(tmp_path):
    start, end = ports((3,), (3,))
    path = written(tmp_path / "less.nir", {"input": start, "n": lif(), "output": end})
    with h5py.File(path, "r+") as file:
        del file["node/nodes/n/tau"]
    with pytest.raises(ModelError, match=r"E1034.*n: nir .* nor can we: LIF without tau"):
        nir_file.read(path, PRESETS["nir"])


def test_uneven_and_grouped_convolutions_are_read(tmp_path):
    start, end = ports((4, 8, 8), (4, 6, 4))
    conv = nir.Conv2d(
        (8, 8), np.ones((4, 1, 3, 5)), 1, 0, 1, 4, np.zeros(4),
    )  # fmt: skip
    path = written(tmp_path / "uneven.nir", {"input": start, "conv": conv, "output": end})
    with pytest.raises(Exception, match=r".*"):
        nir.read(path)
    assert nir_file.read(path, PRESETS["nir"]).outputs[0].shape == (4, 6, 4)


# ---- who wrote it, and what it does not say --------------------------------------------------


def test_the_papers_rockpool_file_fires_when_rockpool_did():
    model = nir_file.read(PAPER / "01_lif" / "lif_rockpool.nir", parse_choice("rockpool,dt=1e-4"))
    trace = np.loadtxt(PAPER / "01_lif" / "lif_rockpool.csv", delimiter=",")
    x = np.loadtxt(PAPER / "01_lif" / "lif_norse.csv", delimiter=",")[:, 0]
    spikes = run_float(model, {"input": x.reshape(-1, 1, 1)})["output"].reshape(-1)
    assert np.flatnonzero(spikes).tolist() == [450, 500, 710, 760]
    np.testing.assert_array_equal(np.flatnonzero(spikes), np.flatnonzero(trace[:, 2]))
    assert any("drops recurrent weights" in text for text in texts(model, "assumed"))


def test_the_papers_lif_fires_when_lava_did():
    """Lava answers one step later: its layers are a step apart."""
    model = nir_file.read(PAPER / "01_lif" / "lif_norse.nir", parse_choice("lava"))
    lava = np.loadtxt(PAPER / "01_lif" / "lif_lava_cpu_float.csv", delimiter=",")
    x = np.loadtxt(PAPER / "01_lif" / "lif_norse.csv", delimiter=",")[:, 0]
    spikes = run_float(model, {"input": x.reshape(-1, 1, 1)})["output"].reshape(-1)
    np.testing.assert_array_equal(np.flatnonzero(spikes) + 1, np.flatnonzero(lava[:, 2]))


def chain(node, tmp_path):
    start, end = ports((3,), (3,))
    return written(tmp_path / "chain.nir", {"input": start, "n": node, "output": end})


def test_time_constants_times_dt_are_norses(tmp_path):
    path = chain(lif(tau=1e-5), tmp_path)
    assert guess_exporter(nir.read(path)).exporter == "Norse"
    with pytest.raises(ModelError, match=r"E1422.*n: time.*norse,dt=1e-6"):
        nir_file.read(path)
    with pytest.raises(ModelError, match=r"E1421.*0\.001 s is longer.*norse,dt=1e-6"):
        nir_file.read(path, parse_choice("norse"))
    model = nir_file.read(path, parse_choice("norse,dt=1e-6"))
    assert model.said["dt"] == "option"
    assert model.said["order"] == "preset norse"


def test_time_constants_in_steps_are_sinabs(tmp_path):
    path = chain(lif(tau=20.0), tmp_path)
    with pytest.raises(ModelError, match=r"E1422.*counted in steps.*sinabs,gain=nir"):
        nir_file.read(path)
    with pytest.raises(ModelError, match=r"E1423.*norm_input.*gain=unit for False"):
        nir_file.read(path, parse_choice("sinabs"))
    model = nir_file.read(path, parse_choice("sinabs,gain=nir"))
    assert model.semantics.gain == "nir"


def test_integrators_that_take_r_alone_are_asked_about(tmp_path):
    node = nir.IF(r=np.ones(3), v_threshold=np.ones(3))
    path = chain(node, tmp_path)
    with pytest.raises(ModelError, match=r"E1422.*n: IF with r = 1.*--semantics sinabs"):
        nir_file.read(path)
    ones = np.full((4, 1, 3), 0.6)
    for text, expected in (("norse", [0, 1, 0, 1]), ("sinabs", [0, 1, 0, 1]), ("nir", [0] * 4)):
        model = nir_file.read(path, parse_choice(text))
        assert run_float(model, {"input": ones})["output"][:, 0, 0].tolist() == expected


@pytest.mark.parametrize(
    ("text", "noted"),
    [("snntorch", False), ("snntorch,reset=zero", False), ("spikingjelly", False), (None, True)],
)
def test_a_reset_that_the_file_cannot_say_is_noted_until_it_is_said(text, noted, tmp_path):
    path = chain(lif(r=20.0), tmp_path)
    model = nir_file.read(path, parse_choice(text) if text else None)
    assert any("how neurons reset" in t for t in texts(model, "assumed")) == noted


def test_plain_graphs_give_nobody_away(tmp_path):
    assert guess_exporter(nir.read(chain(lif(tau=3e-3), tmp_path))) is None


def test_a_step_is_held_against_the_neurons_that_have_none_of_their_own(tmp_path):
    fast = with_semantics(lif(tau=2e-5), replace(PRESETS["nir"], dt=1e-6))
    start, end = ports((3,), (3,))
    nodes = {"input": start, "fast": fast, "slow": lif(), "output": end}
    model = nir_file.read(written(tmp_path / "both.nir", nodes))
    assert [model.semantics_of(name).dt for name in ("fast", "slow")] == [1e-6, 1e-4]
    unsaid = written(tmp_path / "one.nir", {**nodes, "fast": lif(tau=2e-5)})
    with pytest.raises(ModelError, match=r"E1421.*fast: a step of 0.0001 s"):
        nir_file.read(unsaid)


# ---- damage that HDF5 does not survive -----------------------------------------------------


def test_a_heap_that_leads_nowhere_is_refused_before_hdf5_walks_it(tmp_path):
    """HDF5 1.14 never returns from the free space of size 0 that this file has."""
    path = chain(lif(), tmp_path)
    data = bytearray(path.read_bytes())
    start = data.index(b"GCOL\x01")
    place = start + 16
    while int.from_bytes(data[place : place + 2], "little"):
        place += 16 + (int.from_bytes(data[place + 8 : place + 16], "little") + 7) // 8 * 8
    check_heaps(bytes(data), "whole")
    data[place + 8 : place + 16] = bytes(8)
    path.write_bytes(data)
    with pytest.raises(ModelError, match=r"E1003.*a heap of text"):
        nir_file.read(path, PRESETS["nir"])
    with pytest.raises(ModelError, match=r"E1003.*a heap of text"):
        check_heaps(bytes(3) + bytes(data), "at a byte that HDF5 would not choose, and follows")


def test_heaps_inside_each_other_are_refused():
    """Walking each of them would take time that grows with the square of the file."""

    def heap(content):
        size, (length, index) = 32 + len(content), (len(content), 1)
        head = b"GCOL\x01\x00\x00\x00" + size.to_bytes(8, "little")
        return head + index.to_bytes(8, "little") + length.to_bytes(8, "little") + content

    check_heaps(heap(b"in turn!") + heap(b"in turn!"), "whole")
    with pytest.raises(ModelError, match=r"^error\[E1003\] nested: .*byte 32\)"):
        check_heaps(heap(heap(b"inside!!")), "nested")
