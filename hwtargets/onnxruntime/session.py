"""A session of ONNX Runtime: one thread, one order, the CPU; the only importer of onnxruntime."""

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

import numpy as np

from snndeploy.errors import TargetError
from snndeploy.ir.arrays import AnyArray

INSTALL = "pip install onnxruntime"
QUIET = 4
"""Log nothing but fatal errors; what fails is raised."""


def is_installed() -> bool:
    """Return whether onnxruntime can be imported; it is not."""
    return find_spec("onnxruntime") is not None


class Session:
    """A loaded model.

    Args:
        data: an ONNX file.
        optimised: with all of the runtime's graph rewriting, or with none.

    Raises:
        TargetError: E4040 the runtime does not take the model; E4041 it is not installed.
    """

    def __init__(self, data: bytes, *, optimised: bool = True) -> None:
        if not is_installed():
            raise TargetError("E4041", "ONNX Runtime is not installed", remedy=INSTALL)
        import onnxruntime

        options = onnxruntime.SessionOptions()
        level = onnxruntime.GraphOptimizationLevel
        options.graph_optimization_level = (
            level.ORT_ENABLE_ALL if optimised else level.ORT_DISABLE_ALL
        )
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        options.use_deterministic_compute = True
        options.log_severity_level = QUIET
        try:
            self._session = onnxruntime.InferenceSession(
                data, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:
            raise _failed("does not take the model", error) from error
        self.outputs = tuple(output.name for output in self._session.get_outputs())

    def run(self, feeds: Mapping[str, AnyArray]) -> dict[str, AnyArray]:
        """Return every output by name; inputs are cast to the types that the model declares.

        Raises:
            TargetError: E4040, the run failed.
        """
        kinds = {given.name: _dtype(given.type) for given in self._session.get_inputs()}
        given = {name: np.ascontiguousarray(x.astype(kinds[name])) for name, x in feeds.items()}
        try:
            values = self._session.run(None, given)
        except Exception as error:
            raise _failed("failed", error) from error
        return dict(zip(self.outputs, values, strict=True))


def _dtype(text: str) -> Any:
    """Return the numpy type of `tensor(uint8)`."""
    return np.dtype(text.removeprefix("tensor(").removesuffix(")"))


def _failed(what: str, error: Exception) -> TargetError:
    text = str(error).split("\n", maxsplit=1)[0]
    return TargetError(
        "E4040",
        f"ONNX Runtime {what}: {text:.300}",
        remedy="update onnxruntime; if it stays, report it",
    )
