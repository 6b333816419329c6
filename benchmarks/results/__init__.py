"""A results file: its records, the one reader of them, and what of a plan they cover."""
