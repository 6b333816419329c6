"""The formats by name. Listing them imports neither torch nor any vendor package."""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from cnn_export.command_line.packages import require_all
from cnn_export.errors import UsageError, nearest

if TYPE_CHECKING:
    from cnn_export.targets.base import Target


@dataclasses.dataclass(frozen=True)
class TargetEntry:
    """Which room a format has, what one line says of it, and the packages that its extra brings."""

    module: str
    attribute: str
    suffix: str
    summary: str
    packages: tuple[str, ...]


TARGETS: dict[str, TargetEntry] = {
    "onnx": TargetEntry(
        "onnx",
        "Onnx",
        ".onnx",
        "ONNX, run in ONNX Runtime",
        ("onnx", "onnxscript", "onnxsim", "onnxruntime"),
    ),
    "tflite": TargetEntry(
        "tflite",
        "TFLite",
        ".tflite",
        "TFLite (LiteRT), run with XNNPACK",
        ("litert-torch", "ai-edge-litert", "ai-edge-quantizer"),
    ),
    "coreml": TargetEntry("coreml", "CoreML", ".mlpackage", "Core ML program", ("coremltools",)),
    "executorch": TargetEntry(
        "executorch", "ExecuTorch", ".pte", "ExecuTorch with XNNPACK", ("executorch",)
    ),
}
NETWORK_PACKAGES = ("torch", "torchvision", "safetensors")
"""What every export needs, whatever the format: it reads checkpoints and traces networks."""


def target_names(asked: Sequence[str]) -> list[str]:
    """Return the formats that a job writes, each once: those asked for, or with ``all`` every one.

    Raises:
        UsageError: none is asked for, or one that does not exist; offers the nearest names.
    """
    names = list(TARGETS) if "all" in asked else list(dict.fromkeys(asked))
    if not names:
        raise UsageError(f"give at least one --target: {', '.join(TARGETS)} or all")
    for name in names:
        _entry(name)
    return names


def require_targets(names: Sequence[str]) -> None:
    """Check that everything is installed for a job on these formats; imports none of it.

    Raises:
        TargetUnavailable: names all that is missing, and one line that installs it.
    """
    require_all({name: (*NETWORK_PACKAGES, *TARGETS[name].packages) for name in names})


def load_target(name: str) -> Target:
    """Return the target of that name.

    Raises:
        UsageError: no such target; offers the nearest names.
    """
    entry = _entry(name)
    module = importlib.import_module(f"cnn_export.targets.{entry.module}.target")
    target: Target = getattr(module, entry.attribute)()
    return target


def _entry(name: str) -> TargetEntry:
    entry = TARGETS.get(name)
    if entry is None:
        raise UsageError(
            f"unknown target {name!r}; known: {', '.join(TARGETS)}.{nearest(name, TARGETS)}"
        )
    return entry
