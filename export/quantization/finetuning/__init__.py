"""Fine-tuning against a decision: a module with its roundings, and a checkpoint that keeps it."""
