"""Shapes that converters and delegates take: reshapes, slices, joins, one line as an image."""
