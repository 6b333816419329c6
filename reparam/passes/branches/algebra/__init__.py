"""Algebra of linear convolution operators: read them from a graph, compose, add, write back."""
