"""A planted bug is reduced to a small model, in a `.nir` file that is read back and still fails."""

import numpy as np
import pytest

from hwtargets.simulator import compiled, deliver
from snndeploy.errors import UnsupportedError
from tests.generator.case import load_case, simulate
from tests.generator.check import check_model
from tests.generator.model_case import (
    ModelCase,
    load_model_case,
    network_differs,
    random_inputs,
    save_model_case,
)
from tests.generator.model_moves import MODEL_MOVES
from tests.generator.models import random_model
from tests.generator.reduce import reduce_case


def failing(fails):
    """Return the first random model that fails."""
    for seed in range(60):
        rng = np.random.default_rng(seed)
        model = random_model(rng)
        model_case = ModelCase(model, random_inputs(rng, model, 3))
        try:
            if fails(model_case):
                return model_case
        except UnsupportedError:
            continue
    raise AssertionError("no model fails")


def plant(monkeypatch, bug):
    if bug == "kernels moved":
        right = deliver.patches
        monkeypatch.setattr(deliver, "patches", lambda *args: np.roll(right(*args), 1, axis=3))
    else:
        monkeypatch.setitem(compiled.FUNCTIONS, "shz", lambda a, b: a >> b)


@pytest.mark.parametrize("bug", ["kernels moved", "leaks that floor"])
def test_a_bug_is_reduced_and_read_back(bug, monkeypatch, tmp_path):
    plant(monkeypatch, bug)
    fails = network_differs(simulate)
    small = reduce_case(failing(fails), fails, budget=400, moves=MODEL_MOVES)
    assert len(small.case.names) <= 2
    assert next(iter(small.inputs.values())).shape[1] == 1
    again = load_model_case(save_model_case(small, tmp_path, "small"))
    assert fails(again)
    monkeypatch.undo()
    assert not fails(again)


def test_the_model_and_what_it_was_compiled_to_are_written(monkeypatch, tmp_path):
    plant(monkeypatch, "kernels moved")
    model_case = failing(network_differs(simulate))
    with pytest.raises(pytest.fail.Exception, match=r"reduced to [12] populations .*one\.nir"):
        check_model(model_case, simulate, name="one", failures=tmp_path)
    assert network_differs(simulate)(load_model_case(tmp_path / "one.nir"))
    assert load_case(tmp_path / "one.compiled.network.txt").is_valid
