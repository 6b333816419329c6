"""What a checkpoint records about its own network."""
