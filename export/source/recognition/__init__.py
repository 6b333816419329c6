"""Which network a checkpoint's tensors belong to."""
