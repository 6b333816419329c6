"""Layers whose activations are rounded to a range that is taken when they run."""
