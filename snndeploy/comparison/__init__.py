"""Two answers to the same question compared, from float to chip, and why they part."""
