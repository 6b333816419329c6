"""The one representation of a network: a graph of ATen operators with named inputs and outputs."""
