"""Parts of arithmetics: exact sums on a grid, saturating ones, fixed point, float32 in order."""
