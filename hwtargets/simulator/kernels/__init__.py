"""The simulator's compiled kernels; importing a module of this package imports numba."""
