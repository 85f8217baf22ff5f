"""What onnx itself says of a file: well formed, and every type and shape follows."""

import onnx
from onnx import checker, shape_inference

from snndeploy.errors import ModelError


def check_onnx(data: bytes) -> None:
    """Run onnx's full check with strict shape inference, as viewers and other runtimes do.

    Raises:
        ModelError: E1409, the file is not well formed.
    """
    try:
        model = onnx.load_model_from_string(data)
        checker.check_model(model, full_check=True)
        shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
    except (checker.ValidationError, shape_inference.InferenceError, RuntimeError) as error:
        text = str(error).split("\n", maxsplit=1)[0]
        raise ModelError(
            "E1409", f"onnx refuses the file: {text:.200}", remedy="report it"
        ) from error
