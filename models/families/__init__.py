"""One network family a file, its table beside it; whatever lies here is known by name."""
