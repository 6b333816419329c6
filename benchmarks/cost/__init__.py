"""What an artifact costs to run, read from the file itself: multiply-accumulates and bytes.

:func:`read_cost` gives one shape for ``.tflite``, ``.onnx``, ``.pte`` and ``.mlpackage``. Nothing
here loads torch or runs the artifact.
"""

from cnn_export.benchmarks.cost.artifact_cost import ArtifactCost, OpCost
from cnn_export.benchmarks.cost.explanation import Difference, explain
from cnn_export.benchmarks.cost.formats import SUFFIXES, read_cost

__all__ = ["SUFFIXES", "ArtifactCost", "Difference", "OpCost", "explain", "read_cost"]
