"""Our sigma-delta programs answer what Lava's own processes answer, which run here and now."""

import json
from pathlib import Path

import numpy as np
import pytest
from test_lava_worker import run_script

from snndeploy.ir import programs
from snndeploy.ir.interpret import step
from snndeploy.ir.program import INT32

pytestmark = pytest.mark.lava
STEPS, N = 40, 6
WIDE = {"low": INT32[0], "high": INT32[1]}


def case(kind, spread, **settings):
    return {"kind": kind, "spread": spread, "settings": settings}


CASES = [
    case("sigma", 200),
    case("sigma", 1 << 29),  # wraps
    case("delta", 30, vth=0),
    case("delta", 30, vth=12),
    case("delta", 30, vth=7, spike_exp=2, state_exp=3),
    case("delta", 30, vth=9, spike_exp=1, state_exp=2, cum_error=True),
    case("delta", 1 << 28, vth=1 << 20, spike_exp=3, state_exp=3),  # wraps
    case("delta", 1 << 30, vth=1 << 29, cum_error=True),  # sums of errors wrap
    case("sigma_delta", 30, vth=12, bias=5, act_mode="RELU"),
    case("sigma_delta", 30, vth=12, bias=-9, act_mode="UNIT"),
    case("sigma_delta", 90, vth=3, bias=2, spike_exp=1, state_exp=4, act_mode="RELU"),
    case("sigma_delta", 90, vth=4, state_exp=4, act_mode="UNIT", cum_error=True),
    case("sigma_delta", 1 << 29, vth=1 << 22, bias=1 << 10, spike_exp=7, act_mode="UNIT"),  # wraps
]


def arriving(index):
    """Return integers [T, n], a third of them zeros."""
    rng = np.random.default_rng(index)
    spread = CASES[index]["spread"]
    values = rng.integers(-spread, spread, size=(STEPS, N), endpoint=True)
    return np.where(rng.random((STEPS, N)) < 1 / 3, 0, values)


@pytest.fixture(scope="module")
def answers(lava_python, tmp_path_factory):
    """Run all cases in one interpreter with Lava."""
    folder = tmp_path_factory.mktemp("sdn")
    given = [{**each, "a": arriving(index).tolist()} for index, each in enumerate(CASES)]
    (folder / "cases.json").write_text(json.dumps(given))
    script = Path(__file__).with_name("plain_sdn.py")
    status, log = run_script(lava_python, script, "cases.json", "answer.npz", cwd=folder)
    assert status == 0, log
    with np.load(folder / "answer.npz") as arrays:
        return {name: arrays[name].astype(np.int64) for name in arrays.files}


@pytest.mark.parametrize("index", range(len(CASES)))
def test_program_equals_lavas_process(index, answers):
    kind, settings = CASES[index]["kind"], dict(CASES[index]["settings"])
    if "act_mode" in settings:
        settings["relu"] = settings.pop("act_mode") == "RELU"
    program = programs.PROGRAMS[kind]
    params = getattr(programs, kind)(**settings, **WIDE)
    state = {s.name: np.zeros(N, dtype=np.int64) for s in program.states}
    out = []
    for a in arriving(index):
        words = step(program, state, params, a)
        state = {name: words[name] for name in state}
        out.append(np.broadcast_to(words["out"], N))
    np.testing.assert_array_equal(np.stack(out), answers[f"{index}.out"])
    for name, values in state.items():
        np.testing.assert_array_equal(values, answers[f"{index}.{name}"], name)


@pytest.mark.parametrize("index", range(len(CASES)))
def test_every_case_speaks_and_none_but_sigma_always_does(index, answers):
    share = np.count_nonzero(answers[f"{index}.out"]) / (STEPS * N)
    assert share > 0
    assert share < 1 or CASES[index]["kind"] == "sigma"
