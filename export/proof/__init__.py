"""Proof that an artifact computes what the checkpoint does: references, probes, limits."""
