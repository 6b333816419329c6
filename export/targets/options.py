"""What a user may ask of a format, and the refusal of what belongs to another one."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import get_args

from cnn_export.errors import UsageError
from cnn_export.program.tensors import Layout, Precision
from cnn_export.quantization.spelling import DeviceProfile

_OWNERS = {
    "layout": "tflite",
    "opset": "onnx",
    "ir_version": "onnx",
    "minimum_deployment_target": "coreml",
    "image_input": "coreml",
    "device_profile": "onnx",
}
"""Option field → the one format that has it."""

_CHOICES = {
    "precision": get_args(Precision),
    "layout": get_args(Layout),
    "device_profile": (*get_args(DeviceProfile), None),
}


@dataclasses.dataclass(frozen=True)
class TargetOptions:
    """What a user may ask of a target. A target refuses what it cannot honour."""

    precision: Precision = "fp32"
    layout: Layout = "nchw"
    opset: int | None = None
    ir_version: int | None = None
    minimum_deployment_target: str | None = None
    image_input: bool = False
    device_profile: DeviceProfile | None = None
    metadata: Mapping[str, str] = dataclasses.field(default_factory=dict[str, str])
    """String pairs embedded in the artifact."""

    def __post_init__(self) -> None:
        """Refuse a precision or layout that does not exist.

        Raises:
            UsageError: names the value and the choices.
        """
        for option, known in _CHOICES.items():
            value = getattr(self, option)
            if value not in known:
                name, choices = option.replace("_", "-"), " or ".join(filter(None, known))
                raise UsageError(f"{name} {value!r} does not exist; choose {choices}")


def refuse_foreign_options(options: TargetOptions, target: str) -> None:
    """Check that every option that was set belongs to ``target``.

    Raises:
        UsageError: names the option and the format it belongs to.
    """
    for field in dataclasses.fields(options):
        owner = _OWNERS.get(field.name)
        if owner in (None, target) or getattr(options, field.name) == field.default:
            continue
        option = "--" + field.name.replace("_", "-")
        raise UsageError(f"{option} applies to {owner}, not to {target}; export {owner} alone")
