"""Gradients: a float model in torch, and what is trained with it. Nothing else here needs torch."""
