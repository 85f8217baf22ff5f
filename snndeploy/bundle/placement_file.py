"""placement.json: where every neuron lives, as JSON."""

import json
from typing import Any

from snndeploy.ir.placement import CoreSlice, Placement


def dump_placement(placement: Placement) -> bytes:
    """Return a placement as JSON with sorted keys."""
    record = {
        "chip": placement.chip,
        "mesh": list(placement.mesh),
        "cores_per_tile": placement.cores_per_tile,
        "slices": [_slice(piece) for piece in placement.slices],
    }
    return (json.dumps(record, indent=1, sort_keys=True) + "\n").encode()


def _slice(piece: CoreSlice) -> dict[str, Any]:
    return {
        "core": piece.core,
        "population": piece.population,
        "start": piece.start,
        "stop": piece.stop,
        "synapse_bits": dict(piece.synapse_bits),
        "in_axons": dict(piece.in_axons),
        "out_axons": piece.out_axons,
    }


def load_placement(data: bytes) -> Placement:
    """Read what `dump_placement` wrote; raise ValueError, KeyError or TypeError if it is not."""
    record = json.loads(data)
    x, y = record["mesh"]
    return Placement(
        chip=str(record["chip"]),
        slices=tuple(CoreSlice(**piece) for piece in record["slices"]),
        mesh=(int(x), int(y)),
        cores_per_tile=int(record["cores_per_tile"]),
    )
