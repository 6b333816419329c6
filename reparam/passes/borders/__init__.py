"""Borders of per-channel constants around a map."""
