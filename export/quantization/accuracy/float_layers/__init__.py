"""What each layer costs in int8, what in float, and the cheapest ones to keep float."""
