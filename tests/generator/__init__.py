"""Random networks and models, what they exercise, and the smallest form of one that fails."""
