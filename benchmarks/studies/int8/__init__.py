"""int8's accuracy on real weights: networks, their data, and ways to quantize them."""
