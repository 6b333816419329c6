"""Readers: one file per kind of operator, each turning a node into a ``ConvolutionMap``."""
