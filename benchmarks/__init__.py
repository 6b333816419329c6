"""Timing of exported artifacts and of the exporter itself.

Nothing here loads torch, except the worker process that runs a ``.pte`` file.
"""
