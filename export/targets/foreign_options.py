"""Refuse an option that belongs to other formats, instead of ignoring it."""

from __future__ import annotations

import dataclasses

from cnn_export.errors import UsageError
from cnn_export.targets.base import TargetOptions

_OWNERS = {
    "layout": "tflite",
    "opset": "onnx",
    "ir_version": "onnx",
    "minimum_deployment_target": "coreml",
    "image_input": "coreml",
}
"""Option field → the one format that has it."""


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
