"""The networks that a checkpoint may belong to, as candidates by name."""
