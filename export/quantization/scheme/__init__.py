"""Chooses what of a network becomes integers, and at which scales."""
