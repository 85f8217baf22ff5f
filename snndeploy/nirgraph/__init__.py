"""NIR graphs: canonical nodes, shapes, neuron arithmetic and the float interpreter."""
