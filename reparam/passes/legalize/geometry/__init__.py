"""Forms of operators that move pixels: resampling, borders, transposed convolutions."""
