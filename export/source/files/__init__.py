"""Checkpoint file → the object saved in it."""
