"""Frontends: torch modules, `model.pt` checkpoints and `.nir` files become a `Model`."""
