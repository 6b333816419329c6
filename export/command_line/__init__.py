"""What both commands share at their edge: streams, terminals, errors, missing packages."""
