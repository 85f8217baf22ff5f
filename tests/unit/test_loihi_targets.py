"""The Loihi targets: rules beyond capacity, the files of a bundle, and how cheap they are."""

import re
import subprocess
import sys
import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hwtargets.loihi import LAVA, LOIHI1, LOIHI2
from hwtargets.loihi.program import LAVA_VERSION
from hwtargets.loihi.rules import LOIHI1_RULES, LOIHI2_RULES
from snndeploy.ir.network import Network, Population, Projection, Source
from snndeploy.ir.neurons import LIF, integrator, lif
from snndeploy.ir.placement import Placement
from snndeploy.ir.programs import GRADED_SUM, LIF_SUBTRACT, graded_sum, lif_subtract
from snndeploy.ir.synapses import Conv, Dense, sparse_from_dense

ROOT = Path(__file__).parents[2]
NOWHERE = Placement(chip="loihi2", slices=(), mesh=(1, 1), cores_per_tile=1)
DENSE = Dense(weight=[[2, -4]])
MICROCODE = replace(LIF, name="other", native=False)


def net(*, source=None, params=None, program=LIF, synapse=DENSE, **options):
    source = source or Source(name="in", shape=(2,))
    params = lif(du=4095, dv=0, vth=10) if params is None else params
    population = Population(name="p", shape=(1,), program=program, params=params, wave=1)
    link = Projection(name="s", source="in", target="p", synapse=synapse, **options)
    return Network(
        name="n", steps=5, sources=(source,), populations=(population,), projections=(link,),
        outputs=(),
    )  # fmt: skip


GRADED = Source(name="in", shape=(2,), low=-128, high=127)
CONV = Conv(weight=[[[[2, 4]]]], in_shape=(1, 1, 2))
SPARSE = sparse_from_dense(DENSE.weight)
UNITS = "register units"


def with_lif(**changes):
    return net(params=lif(**{"du": 0, "dv": 0, "vth": 1, **changes}))


BROKEN = {
    "payload wider than a message": (
        LOIHI2,
        net(program=GRADED_SUM, params=graded_sum(low=0, high=2**24)),
        ("p", 25, 24, "payload bits"),
    ),
    "microcode by its name": (
        LOIHI1,
        net(program=LIF_SUBTRACT, params=lif_subtract(du=0, dv=0, threshold=9)),
        ("p", 1, 0, "lif_subtract neurons"),
    ),
    "payload on a chip without": (LOIHI1, net(source=GRADED), ("in", 8, 0, "payload bits")),
    "dense delay": (LOIHI1, net(delay=8), ("s", 8, 7, "steps")),
    "sparse delay": (LOIHI1, net(synapse=SPARSE, delay=8), ("s", 8, 7, "steps")),
    "delayed conv is sparse": (LOIHI1, net(synapse=CONV, delay=9), ("s", 9, 7, "steps")),
    "delay of loihi2": (LOIHI2, net(delay=63), ("s", 63, 62, "steps")),
    "exponent": (LOIHI1, net(weight_exp=8), ("s", 8, 7, "bits")),
    "negative exponent": (LOIHI1, net(weight_exp=-9), ("s", -9, -7, "bits")),
    "weight bits": (LOIHI2, net(weight_bits=9), ("s", 9, 8, "bits")),
    "threshold": (LOIHI2, with_lif(vth=131073), ("p", 131073, 131071, UNITS)),
    "negative threshold": (LOIHI2, with_lif(vth=-1), ("p", -1, 0, UNITS)),
    "du": (LOIHI2, with_lif(du=4096), ("p", 4096, 4095, UNITS)),
    "dv": (LOIHI2, with_lif(dv=4097), ("p", 4097, 4096, UNITS)),
    "bias": (LOIHI2, with_lif(bias_mant=-4097), ("p", -4097, -4096, UNITS)),
    "bias exponent": (LOIHI2, with_lif(bias_exp=8), ("p", 8, 7, UNITS)),
    "microcode": (LOIHI1, net(program=MICROCODE), ("p", 1, 0, "other neurons")),
}
FINE = {
    "payload": (LOIHI2, net(source=GRADED)),
    "dense delay": (LOIHI1, net(delay=7)),
    "long delay": (LOIHI2, net(delay=62)),
    "exponents": (LOIHI1, net(weight_exp=-7)),
    "integrator that never fires": (LOIHI1, net(params=integrator())),
    "registers": (LOIHI2, with_lif(du=-1, dv=4096, vth=131071, bias_mant=-4096, bias_exp=7)),
    "microcode": (LOIHI2, net(program=MICROCODE)),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_rule_is_one_violation_with_its_numbers(case):
    target, network, expected = BROKEN[case]
    (violation,) = target.check(network)
    assert (violation.node, violation.have, violation.limit, violation.unit) == expected
    assert violation.rule
    assert violation.hint


@pytest.mark.parametrize("case", FINE)
def test_what_the_chip_holds_breaks_nothing(case):
    target, network = FINE[case]
    assert target.check(network) == ()


def test_loihi2_takes_microcode_and_says_that_it_needs_it():
    network = net(program=LIF_SUBTRACT, params=lif_subtract(du=0, dv=0, threshold=9))
    assert LOIHI2.check(network) == ()
    (note,) = LOIHI2.notes(network)
    assert note.startswith("p: lif_subtract neurons need microcode on loihi2 (26 statements")
    assert LOIHI2.notes(net()) == ()


def test_all_broken_rules_are_reported_at_once():
    broken = net(source=GRADED, delay=70, weight_exp=9, params=lif(du=0, dv=0, vth=1, bias_exp=9))
    assert [v.node for v in LOIHI1.check(broken)] == ["in", "s", "s", "p"]


def test_every_rule_says_what_it_asks_for():
    assert set(LOIHI2_RULES) < set(LOIHI1_RULES)
    assert all(rule.__doc__ and rule.__doc__.endswith(".") for rule in LOIHI1_RULES)


@pytest.mark.parametrize(("target", "name"), [(LOIHI1, "loihi1"), (LOIHI2, "loihi2")])
def test_target_is_named_after_its_chip_and_has_lava_for_a_toolchain(target, name):
    assert (target.name, target.chip.name) == (name, name)
    assert target.executor == LAVA.name


def test_bundle_files_are_what_lavas_host_needs_and_always_the_same():
    files = LOIHI2.bundle_files(net(), NOWHERE)
    assert sorted(files) == ["lava.json", "lava.npz", "requirements.txt", "run.py"]
    assert files == LOIHI2.bundle_files(net(), NOWHERE)


def test_script_names_its_interpreter_and_its_packages():
    text = LOIHI2.bundle_files(net(), NOWHERE)["run.py"].decode()
    block = text.split("# /// script\n")[1].split("# ///\n")[0]
    header = tomllib.loads(block.replace("# ", ""))
    assert header["requires-python"] == ">=3.10,<3.11"
    assert header["dependencies"] == [f"lava-nc=={LAVA_VERSION}", "numpy<2"]


def test_script_is_the_only_module_that_imports_lava():
    pattern = re.compile(r"^\s*(import lava\b|from lava\b)", re.MULTILINE)
    found = [
        path.name
        for package in ("hwtargets", "snndeploy")
        for path in (ROOT / package).rglob("*.py")
        if pattern.search(path.read_text())
    ]
    assert found == ["lava_worker.py"]


def test_importing_the_targets_imports_nothing_heavy():
    code = (
        "import sys; from hwtargets.loihi import LAVA, LOIHI2; "
        "print(*{'torch', 'nir', 'h5py', 'onnx', 'numba', 'lava'} & set(sys.modules))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True,
        timeout=60,
    )  # fmt: skip
    assert answer.stdout.strip() == ""


def test_arrays_of_parameters_are_checked_neuron_by_neuron():
    params = lif(du=0, dv=0, vth=1, bias_mant=np.array([4095]))
    assert LOIHI2.check(net(params=params)) == ()
