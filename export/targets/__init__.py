"""The formats by name. Listing them imports neither torch nor any vendor package."""

from __future__ import annotations

import dataclasses
import importlib
from typing import TYPE_CHECKING

from cnn_export.errors import UsageError, nearest

if TYPE_CHECKING:
    from cnn_export.targets.base import Target


@dataclasses.dataclass(frozen=True)
class TargetEntry:
    """Which room a format has, and what one line says of it."""

    module: str
    attribute: str
    suffix: str
    summary: str


TARGETS: dict[str, TargetEntry] = {
    "onnx": TargetEntry("onnx", "Onnx", ".onnx", "ONNX, run in ONNX Runtime"),
    "tflite": TargetEntry("tflite", "TFLite", ".tflite", "TFLite (LiteRT), run with XNNPACK"),
    "coreml": TargetEntry("coreml", "CoreML", ".mlpackage", "Core ML program"),
    "executorch": TargetEntry("executorch", "ExecuTorch", ".pte", "ExecuTorch with XNNPACK"),
}


def load_target(name: str) -> Target:
    """Return the target of that name.

    Raises:
        UsageError: no such target; offers the nearest names.
    """
    entry = TARGETS.get(name)
    if entry is None:
        raise UsageError(
            f"unknown target {name!r}; known: {', '.join(TARGETS)}.{nearest(name, TARGETS)}"
        )
    module = importlib.import_module(f"cnn_export.targets.{entry.module}.target")
    target: Target = getattr(module, entry.attribute)()
    return target
