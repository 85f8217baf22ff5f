"""The simulator's own LIF kernel against Lava's recorded answers and at its corners."""

import json
from pathlib import Path

import numpy as np
import pytest

from hwtargets.simulator.lif import kernel
from snndeploy.ir.neurons import NEVER, lif
from tests.windows import run_windows

DATA = Path(__file__).parents[1] / "data" / "lava" / "vectors_lava_lif.npz"
ARRAYS = np.load(DATA)
CASES = json.loads(str(ARRAYS["meta"]))
FROM_ZERO = [
    i
    for i, case in enumerate(CASES)
    if case["kind"] == "lif"
    and not ARRAYS[f"c{i:03d}_u0"].any()
    and not ARRAYS[f"c{i:03d}_v0"].any()
]
RESET = [i for i, case in enumerate(CASES) if case["kind"] == "reset"]


def recorded(index):
    names = ("a", "mant", "exp", "s", "u", "v")
    a, mant, exp, s, u, v = (ARRAYS[f"c{index:03d}_{name}"].astype(np.int64) for name in names)
    case = CASES[index]
    params = lif(du=case["du"], dv=case["dv"], vth=case["vth"])
    fixed = kernel({**params, "bias_mant": mant.astype(np.int16).astype(np.int64), "bias_exp": exp})
    return a.astype(np.int32).T, fixed, s.T, u.T, v.T


def run(a, **params):
    """Run one window of one neuron; return its (spikes, u, v) as lists."""
    a = np.array(a, dtype=np.int32).reshape(1, -1, 1)
    exists = np.ones(a.shape[:2], dtype=bool)
    ran = run_windows(a, kernel(lif(**params)), exists, states=True)
    return (
        ran.spikes.ravel().tolist(),
        ran.states["u"].ravel().tolist(),
        ran.states["v"].ravel().tolist(),
    )


@pytest.mark.parametrize("index", FROM_ZERO)
def test_kernel_equals_lava_from_the_reset_state(index):
    a, fixed, s, u, v = recorded(index)
    ran = run_windows(a[None], fixed, np.ones((1, len(a)), dtype=bool), states=True)
    assert np.array_equal(ran.spikes[0], s)
    assert np.array_equal(ran.states["u"][0], u)
    assert np.array_equal(ran.states["v"][0], v)


@pytest.mark.parametrize("index", RESET)
def test_kernel_equals_lava_between_resets(index):
    a, fixed, s, u, v = recorded(index)
    interval, offset = CASES[index]["interval"], CASES[index]["offset"]
    starts = [k for k in range(len(a)) if (k + 1 - offset) % interval == 0]
    assert len(starts) >= 2
    for start in starts:
        part = slice(start, start + interval)
        n_steps = len(a[part])
        ran = run_windows(a[part][None], fixed, np.ones((1, n_steps), dtype=bool), states=True)
        assert np.array_equal(ran.spikes[0], s[part])
        assert np.array_equal(ran.states["u"][0], u[part])
        assert np.array_equal(ran.states["v"][0], v[part])


def test_fires_above_the_threshold_and_not_at_it():
    assert run([3], du=4095, dv=0, vth=3)[0] == [0]
    assert run([4], du=4095, dv=0, vth=3)[0] == [1]


def test_spike_resets_v_and_keeps_u():
    spikes, u, v = run([4, 0], du=-1, dv=0, vth=3)
    assert (spikes, u, v) == ([1, 1], [256, 256], [0, 0])


def test_decays_round_toward_zero():
    _, u, v = run([-1, 0], du=2047, dv=4095, vth=NEVER)
    assert u == [-64, -32]
    assert v == [-64, -32]  # trunc(-64 / 4096) is 0


def test_u_wraps_once_at_the_top_and_v_clips():
    _, u, v = run([131073], du=4095, dv=0, vth=NEVER)
    assert u == [131073 * 64 - (1 << 24)]
    assert v == [-(1 << 23) + 64]
    assert run([131072], du=4095, dv=0, vth=NEVER)[1:] == ([1 << 23], [(1 << 23) - 1])


def test_steps_that_do_not_exist_leave_no_charge():
    a = np.zeros((1, 3, 1), dtype=np.int32)
    fixed = kernel(lif(du=4095, dv=0, vth=NEVER, bias_mant=5, bias_exp=1))
    ran = run_windows(a, fixed, np.array([[False, True, True]]), states=True)
    assert ran.states["v"].ravel().tolist() == [0, 10, 20]
