"""What Bias Loss and asymmetric blocks bring small networks, on the digits."""
