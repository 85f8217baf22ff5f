"""Compile trained spiking neural networks to neuromorphic hardware, and prove what was done."""
