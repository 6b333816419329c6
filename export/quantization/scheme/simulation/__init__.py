"""A decision computed in floats: what it changes, layer by layer."""
