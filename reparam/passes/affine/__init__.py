"""Batch normalization and other maps per channel, folded into what stands beside them."""
