"""What a loaded object holds: named tensors, groups of them, and what else stands beside."""
