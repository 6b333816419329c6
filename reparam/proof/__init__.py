"""Proof in float64 that a rewritten graph computes what the original computes."""
