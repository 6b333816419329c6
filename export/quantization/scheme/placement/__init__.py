"""Which operators compute in integers, and which tensors have to share a scale for it."""
