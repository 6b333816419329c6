"""Network families, the losses and the trainer that belong to them.

Each family is one file and registers itself in :mod:`cnn_export.models.registry`. Nothing here
knows the exporters or the benchmarks.
"""
