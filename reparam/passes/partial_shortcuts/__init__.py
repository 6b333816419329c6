"""Shortcuts that cover a part of the channels."""
