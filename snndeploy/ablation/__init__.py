"""Studies: many compressions of one model, measured on the deployed network, run to their end."""
