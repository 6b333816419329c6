"""How a converter wants a decision written into the graph it is given."""

from __future__ import annotations

import dataclasses
from typing import Literal

Border = Literal["float", "int8", "uint8"]
"""The type of a file's inputs and outputs."""

DeviceProfile = Literal["x86", "htp", "arm"]
"""What an ONNX file is for: uint8 activations serve x86 and Qualcomm's HTP, int8 ones ARM."""


@dataclasses.dataclass(frozen=True)
class Spelling:
    """The form of activations, weights and biases in a graph of ``quantized_decomposed`` operators.

    ``activations``: the dtype between quantize and dequantize; uint8 has zero points 128 higher.
    ``weights``: an int8 ``constant`` behind ``dequantize_per_channel``, or float weights that lie
    on the grid behind ``quantize_per_channel`` and ``dequantize_per_channel``, or ``rounded``: such
    floats alone, which is what the others mean.
    ``biases``: int32 constants behind ``dequantize_per_channel``, or floats that lie on that grid.
    """

    activations: Literal["int8", "uint8"] = "int8"
    weights: Literal["constant", "requantized", "rounded"] = "constant"
    biases: Literal["int32", "float"] = "int32"
