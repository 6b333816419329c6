"""Carrying a tensor's channels as several tensors, so that nothing is sliced at run time."""
