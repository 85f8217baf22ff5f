"""Levels that the factors of a space may take: what the compression stages know by name."""

CRITERIA = ("svs", "svs_nuclear", "effective_rank", "rate", "sca", "l1", "random")
GAMMAS = ("mse", "max", "percentile", "mean")
GRIDS = ("auto",)
MIN_BITS, MAX_BITS = 2, 8
