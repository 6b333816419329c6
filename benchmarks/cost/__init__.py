"""What an artifact costs to run, read from the file itself: multiply-accumulates and bytes.

:func:`read_cost` gives one shape for ``.tflite``, ``.onnx``, ``.pte`` and ``.mlpackage``. Nothing
here loads torch. Files are read in a process of its own, within limits.
"""

from cnn_export.benchmarks.cost.artifact_cost import ArtifactCost, OpCost
from cnn_export.benchmarks.cost.bounded import Inspection, inspect, read_cost
from cnn_export.benchmarks.cost.explanation import Difference, explain
from cnn_export.benchmarks.cost.formats import SUFFIXES

__all__ = [
    "SUFFIXES",
    "ArtifactCost",
    "Difference",
    "Inspection",
    "OpCost",
    "explain",
    "inspect",
    "read_cost",
]
