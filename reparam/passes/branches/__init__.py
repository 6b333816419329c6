"""Linear branches merged into one convolution."""
