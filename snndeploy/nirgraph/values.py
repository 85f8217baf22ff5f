"""Check the numbers of a graph: no NaN, no infinity, nowhere."""

from typing import Any

import nir
import numpy as np

from snndeploy.errors import ModelError


def check_finite(graph: nir.NIRGraph) -> None:
    """Refuse arrays with NaN or infinite values.

    Raises:
        ModelError: E1012, naming the node, the field and how many values are bad.
    """
    for name, node in graph.nodes.items():
        for field, values in vars(node).items():
            array: Any = values if isinstance(values, np.ndarray) else None
            if array is None or array.dtype.kind != "f":
                continue
            bad = int(np.count_nonzero(~np.isfinite(array)))
            if bad:
                raise ModelError(
                    "E1012",
                    f"{bad:,} of {array.size:,} values of {field} are NaN or infinite",
                    where=name,
                    remedy="save a network that was trained to finite weights",
                )
