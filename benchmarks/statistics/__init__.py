"""Statistics with the process as their unit; no I/O."""
