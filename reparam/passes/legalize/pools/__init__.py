"""Pools as the formats and their delegates have them."""
