"""ONNX Runtime as an executor: the network written as ONNX, run by code that is none of ours."""

from hwtargets.onnxruntime.executor import OnnxExecutor

ONNX = OnnxExecutor()

__all__ = ["ONNX", "OnnxExecutor"]
