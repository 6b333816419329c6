"""Checkpoints from the file alone: recognised, exported, in how many partitions, how equal."""
