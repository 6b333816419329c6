"""Writes a decision into a copy of its graph, in the spelling a converter wants."""
