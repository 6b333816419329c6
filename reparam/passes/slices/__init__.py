"""Slices, splits, scatters and indices as slices and concatenations."""
