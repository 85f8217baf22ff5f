"""Passes: plain functions that return a new value, one per file, in the order of the pipeline."""
