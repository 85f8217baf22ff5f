"""The integer network: populations, projections, programs, and the reference that runs them."""
