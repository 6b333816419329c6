"""Layouts of tensor names, one a file: whose names become which network's."""
