"""Array aliases and the one way arrays enter frozen data: read-only, C-contiguous, of one dtype."""

from typing import Any

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
AnyArray = npt.NDArray[Any]


def frozen_int(values: Any) -> IntArray:
    """Return `values` as a read-only int64 array; raise ValueError if that changes a value."""
    source = np.asarray(values)
    array = np.array(source, dtype=np.int64, order="C")
    if source.dtype.kind not in "iub" and not np.array_equal(array, source):
        raise ValueError("not an integer array")
    array.flags.writeable = False
    return array


def frozen_float(values: Any) -> FloatArray:
    """Return a read-only float64 copy of `values`."""
    array = np.array(values, dtype=np.float64, order="C")
    array.flags.writeable = False
    return array
