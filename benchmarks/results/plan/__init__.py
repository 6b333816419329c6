"""What runs planned, what a results file holds of it, and how that is told."""
