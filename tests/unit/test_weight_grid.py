"""A layer's grid survives every file, and a damaged record is refused by its node."""

from dataclasses import replace

import nir
import numpy as np
import pytest
from chains import chain_model, conv, flatten, lif

import snndeploy
from snndeploy.errors import ModelError
from snndeploy.frontends import nir_file
from snndeploy.frontends.checkpoint import write_model
from snndeploy.nirgraph.rebuild import rebuild_graph
from snndeploy.nirgraph.weight_grid import WeightGrid, grid_of_node, with_grid

GRID = WeightGrid(
    bits=4, kind="odd", sign_mode="mixed", rule="percentile", percentile=0.97,
    gamma=np.array([0.1, 1 / 3, 2.0]), unit=np.array([1e-3, 1 / 7, 0.25]),
)  # fmt: skip


def linear():
    return nir.Affine(weight=np.ones((3, 2)), bias=np.zeros(3))


def test_a_grid_is_read_as_it_was_written():
    node = with_grid(linear(), GRID)
    found = grid_of_node("fc", node)
    for field in ("bits", "kind", "sign_mode", "rule", "percentile"):
        assert getattr(found, field) == getattr(GRID, field)
    assert np.array_equal(found.gamma, GRID.gamma)
    assert np.array_equal(found.unit, GRID.unit)
    assert found.largest == 15
    assert found.step.tolist() == (GRID.gamma / 15).tolist()
    assert grid_of_node("fc", linear()) is None


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"bits": 9}, "9 bits"),
        ({"bits": "4"}, "'4' bits"),
        ({"kind": "even"}, "kind 'even'"),
        ({"sign_mode": "excitatory"}, "odd codes of one sign"),
        ({"rule": "best"}, "rule 'best'"),
        ({"percentile": 2.0}, "percentile 2.0"),
        ({"gamma": "0.1 x 2"}, "are not positive numbers"),
        ({"gamma": "0.1 -1 2"}, "are not positive numbers"),
        ({"gamma": "inf"}, "are not positive numbers"),
        ({"gamma": "1 2"}, "2 gammas and 3 units for 3 rows"),
        ({"unit": "1"}, "3 gammas and 1 units for 3 rows"),
        ({"more": 1}, "fields"),
    ],
)
def test_a_damaged_record_is_refused_by_its_node(changes, says):
    node = with_grid(linear(), GRID)
    node.metadata["snndeploy"]["grid"] |= changes
    with pytest.raises(ModelError, match=rf"error\[E1240\] fc: its stored grid: .*{says}"):
        grid_of_node("fc", node)


def network(granularity="tensor"):
    rng = np.random.default_rng(3)
    model = chain_model(
        conv(rng.normal(0.1, 0.4, (4, 2, 3, 3)), (6, 6), bias=rng.normal(0, 0.2, 4)),
        lif((4, 4, 4), keep=0.75), flatten((4, 4, 4)),
        nir.Affine(weight=rng.normal(0, 0.3, (5, 64)), bias=rng.normal(0, 0.1, 5)),
        shape=(2, 6, 6), out_shape=(5,),
    )  # fmt: skip
    return snndeploy.quantize(model, 4, grid="odd", granularity=granularity).model


@pytest.mark.parametrize("granularity", ["tensor", "channel"])
def test_files_keep_the_grid_and_compile_to_the_same_integers(tmp_path, granularity):
    model = network(granularity=granularity)
    write_model(model, tmp_path / "q.pt")
    nir_file.write(model, tmp_path / "q.nir")
    want = snndeploy.compile(model).network
    for name in ("q.pt", "q.nir"):
        read = snndeploy.load(tmp_path / name)
        for node, kept in model.graph.nodes.items():
            grid, again = grid_of_node(node, kept), grid_of_node(node, read.graph.nodes[node])
            assert (grid is None) == (again is None)
            if grid is not None:
                assert np.array_equal(grid.gamma, again.gamma)
                assert np.array_equal(grid.unit, again.unit)
        got = snndeploy.compile(read).network
        for one, two in zip(want.projections, got.projections, strict=True):
            assert np.array_equal(one.synapse.weight, two.synapse.weight)
            assert (one.weight_bits, one.weight_exp) == (two.weight_bits, two.weight_exp)
        for one, two in zip(want.populations, got.populations, strict=True):
            assert all(np.array_equal(one.params[key], two.params[key]) for key in one.params)


def test_a_damaged_record_in_a_file_is_one_error(tmp_path):
    model = network()
    node = with_grid(model.graph.nodes["n0"], replace(GRID, gamma=GRID.gamma[:1], unit=GRID.unit))
    damaged = replace(model, graph=rebuild_graph(model.graph, {"n0": node}))
    write_model(damaged, tmp_path / "d.pt")
    with pytest.raises(ModelError, match=r"error\[E1240\] .*d.pt: n0: its stored grid: 1 gammas"):
        snndeploy.load(tmp_path / "d.pt")
