"""Writing models and networks for other tools: `.onnx`, `.nir`, lava-dl's `.net`."""
