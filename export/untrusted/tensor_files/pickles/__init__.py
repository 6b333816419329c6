"""The pickle of a checkpoint, read without running anything of it."""
