"""Blocks that several networks, or one long one, are built of."""
