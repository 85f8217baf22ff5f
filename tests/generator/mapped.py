"""A case on a chip: placed, checked by brute force, and counted."""

from dataclasses import replace
from decimal import Decimal

import numpy as np

from hwtargets.simulator import SIMULATOR
from snndeploy.ir.placement import Placement
from snndeploy.mapping import check_placement, place
from snndeploy.registry import find_target
from tests.generator.case import Case

SAME_EVERYWHERE = ("synaptic_op", "neuron_active", "spike")
"""Events whose totals no placement changes."""


def tiny_chip(seed):
    """Return a chip that few networks fit on without being split, and some not at all."""
    rng = np.random.default_rng(seed)
    limits = {
        "cores": 400,
        "neurons_per_core": int(rng.integers(1, 20)),
        "synapse_bits_per_core": int(rng.integers(500, 20000)),
        "in_axons_per_core": int(rng.integers(20, 200)),
        "out_axons_per_core": int(rng.integers(20, 200)),
    }
    chip = find_target("loihi1").chip
    changed = {key: replace(chip.limits[key], value=Decimal(n)) for key, n in limits.items()}
    return replace(chip, limits={**chip.limits, **changed})


def check_mapping(case: Case, chip, seen) -> dict[str, int] | None:
    """Place a case and count its run; return the totals, None if it does not fit and says why."""
    placed = place(case.network, chip)
    if not isinstance(placed, Placement):
        assert placed
        assert all(violation.have > violation.limit for violation in placed)
        seen["mapping", "refused"] += 1
        return None
    assert check_placement(case.network, placed, chip) == ()
    seen["mapping", "split"] += len(placed.slices) > len(case.names)
    result = SIMULATOR.run(case.network, case.inputs, record=(), placement=placed)
    _check_overflows(case, result.overflows)
    samples = next(iter(case.inputs.values())).shape[1]
    updates = result.counts.total("neuron_idle") + result.counts.total("neuron_active")
    assert updates == sum(p.n for p in case.network.populations) * case.network.chip_steps(samples)
    return {kind: result.counts.total(kind) for kind in SAME_EVERYWHERE}


def _check_overflows(case: Case, overflows) -> None:
    """Compare what the simulator says wrapped and clipped with the reference."""
    for key, n in overflows.items():
        if key.endswith("u_wraps"):
            name = key.removesuffix("u_wraps")
            assert n == case.overflows[f"{name}x.select"] + case.overflows[f"{name}u.select"], key
        else:
            assert n == case.overflows[key.replace("v_clips", "y.clip")], key
