"""Semantics by preset and option, and what each of their fields does to one neuron by hand."""

from dataclasses import replace

import nir
import numpy as np
import pytest

from snndeploy.errors import UsageError
from snndeploy.nirgraph.dynamics import step_constants
from snndeploy.nirgraph.neuron_step import run_neuron
from snndeploy.semantics import PRESETS, Semantics, from_record, parse_choice, to_record

ONE = np.ones(1)


def potentials(node, semantics, inputs):
    x = np.array(inputs, dtype=np.float64).reshape(-1, 1, 1)
    return run_neuron(step_constants(node, semantics), semantics, x)[1].reshape(-1).tolist()


def cuba(**changes):
    fields = {"tau_syn": 2.0, "tau_mem": 4.0, "r": 1.0, "v_leak": 0.0, "v_threshold": 100.0,
              "v_reset": 0.0, "w_in": 1.0} | changes  # fmt: skip
    return nir.CubaLIF(**{name: ONE * value for name, value in fields.items()})


def test_gains_of_currents():
    """tau_syn 2, tau_mem 4, dt 1: the current keeps 1/2, the potential takes 1/4 of it."""
    step = Semantics(dt=1.0)
    assert potentials(cuba(), step, [8, 0]) == [1.0, 1.25]
    unit = replace(step, current_gain="unit")
    assert potentials(cuba(), unit, [8, 0]) == [2.0, 2.5]
    decays = replace(step, current_gain="decay")
    assert potentials(cuba(), decays, [8, 0]) == [1.0, 1.25]
    jumps = replace(unit, order="jump-use-decay")
    assert potentials(cuba(), jumps, [8, 0]) == [2.0, 2.5]


def test_gains_of_integrators():
    node = nir.IF(r=ONE * 3, v_threshold=ONE * 100, v_reset=ONE * 0)
    assert potentials(node, Semantics(dt=0.5), [2]) == [3.0]
    assert potentials(node, Semantics(dt=0.5, gain="unit"), [2]) == [2.0]
    assert potentials(node, Semantics(dt=0.5, if_gain="r"), [2]) == [6.0]


def test_where_a_neuron_starts():
    node = nir.LIF(tau=ONE * 4, r=ONE, v_leak=ONE * 8, v_threshold=ONE * 100, v_reset=ONE * -4)
    for v0, first in (("zero", 2.0), ("reset", -1.0), ("leak", 8.0)):
        assert potentials(node, Semantics(dt=1.0, v0=v0), [0]) == [first]
    integrator = nir.IF(r=ONE, v_threshold=ONE * 100, v_reset=ONE * -4)
    assert potentials(integrator, Semantics(dt=1.0, v0="leak"), [1]) == [-3.0]


@pytest.mark.parametrize("name", PRESETS)
def test_presets_survive_their_records(name):
    assert from_record(to_record(PRESETS[name])) == PRESETS[name]


def test_records_of_before_there_were_these_fields_mean_what_they_meant():
    record = to_record(PRESETS["sinabs"])
    old = {key: record[key] for key in record if key not in ("current_gain", "if_gain")}
    assert from_record(old) == PRESETS["sinabs"]


def test_a_choice_knows_what_was_said():
    chosen = parse_choice("norse,dt=1e-6,v0=zero")
    assert chosen.semantics == replace(PRESETS["norse"], dt=1e-6, v0="zero")
    assert (chosen.origin("dt"), chosen.origin("order")) == ("option", "preset norse")


@pytest.mark.parametrize(
    "text", ["nosre", "norse,dt=0", "norse,dt=-1", "norse,dt=inf", "norse,if_gain=q", "norse,v=1"]
)
def test_what_is_not_there_is_refused(text):
    with pytest.raises(UsageError, match="E5010"):
        parse_choice(text)
