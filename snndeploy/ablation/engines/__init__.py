"""Engines: what runs trials, here or elsewhere."""
