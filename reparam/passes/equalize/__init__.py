"""Cross-layer equalization of channel ranges."""
