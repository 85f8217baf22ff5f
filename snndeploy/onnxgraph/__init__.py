"""The integer network in a second notation: ONNX, written and read back.

A sibling of `snndeploy.ir.text`: integers in, integers out, no float model in sight, so that the
exporter and the executor (`hwtargets.onnxruntime`) share one writer. Nothing else imports onnx.
"""
