"""The measurements behind the documentation: ``python -m cnn_export.benchmarks.studies.NAME``."""
