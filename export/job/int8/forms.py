"""How each format holds an int8 decision, and what its runtime computes in."""

from __future__ import annotations

import dataclasses

from cnn_export.quantization.emulation.arithmetic import Arithmetic
from cnn_export.quantization.emulation.core_ml import CORE_ML
from cnn_export.quantization.emulation.executorch import EXECUTORCH
from cnn_export.quantization.emulation.host import onnx_runtime_here
from cnn_export.quantization.emulation.onnx_runtime_arm import ONNX_RUNTIME_ARM
from cnn_export.quantization.emulation.xnnpack import XNNPACK
from cnn_export.quantization.spelling import DeviceProfile, Spelling
from cnn_export.targets.base import Target

ARITHMETICS: dict[str, Arithmetic] = {
    "tflite": XNNPACK,
    "executorch": EXECUTORCH,
    "onnx": onnx_runtime_here(),
    "coreml": CORE_ML,
}
"""Target → what its runtime computes in on this machine."""


@dataclasses.dataclass(frozen=True)
class Form:
    """A file's spelling, and the arithmetic that it is judged in and answers in."""

    spelling: Spelling
    arithmetic: Arithmetic


def form_of(target: Target, profile: DeviceProfile | None = None) -> Form:
    """Return the form of a target's files; ``profile`` is the device they are for (onnx)."""
    if profile == "arm":
        return Form(dataclasses.replace(target.spelling, activations="int8"), ONNX_RUNTIME_ARM)
    return Form(target.spelling, ARITHMETICS[target.name])
