"""Core ML: an ML program (``.mlpackage``), converted by coremltools from the exported program.

Core ML predicts on macOS only. Elsewhere :meth:`CoreML.load` runs the saved package in the MIL
reference evaluator of :mod:`cnn_export.targets.coreml`, and :attr:`CoreML.runtime` says so.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch

from cnn_export.artifact_files.coreml.reader import CoreMLFile
from cnn_export.artifact_files.partition_report import PartitionReport
from cnn_export.command_line.packages import require
from cnn_export.errors import InputRefused, OperatorRefused, UsageError, nearest
from cnn_export.program.program import Program
from cnn_export.program.tensors import Session
from cnn_export.quantization.spelling import Spelling
from cnn_export.targets import TARGETS, legalizations
from cnn_export.targets.base import OpRefusal
from cnn_export.targets.options import TargetOptions, refuse_foreign_options
from cnn_export.targets.quantized import is_quantized, require_quantized

_WITHOUT_INT8 = ("iOS15", "iOS16", "macOS12", "macOS13", "tvOS15", "tvOS16", "watchOS8", "watchOS9")
"""Those whose Core ML quantizes no activations."""

DEPLOYMENT_TARGETS = (
    *("iOS15", "iOS16", "iOS17", "iOS18", "iOS26"),
    *("macOS12", "macOS13", "macOS14", "macOS15", "macOS26"),
    *("tvOS15", "tvOS16", "tvOS17", "tvOS18", "tvOS26"),
    *("watchOS8", "watchOS9", "watchOS10", "watchOS11", "watchOS26"),
)
"""Operating systems whose Core ML runs ML programs."""

_SUMMARY = "Convolutional network exported and verified by cnn-export"
_INPUT_DTYPES = (torch.float16, torch.float32, torch.int32, torch.int64)
_IMAGE_CHANNELS = (1, 3)
_ON_MACOS = sys.platform == "darwin"


class CoreML:
    """The Core ML target. Inputs and outputs stay float32 in both precisions.

    With ``image_input`` the package takes a picture of raw 0–255 pixels: scale 1 and bias 0, so
    the program itself receives 0…255. A network that wants normalised values must hold its
    normalisation. Sessions take the picture as the program sees it, an NCHW array; Core ML itself
    accepts whole numbers 0…255 only, the evaluator any value.
    """

    name = "coreml"
    suffix = ".mlpackage"
    runtime = "Core ML" if _ON_MACOS else "MIL reference evaluator"
    legalization = legalizations.COREML
    spelling = Spelling(activations="int8", weights="constant", biases="float")

    def versions(self) -> dict[str, str]:
        """Return coremltools' version.

        Raises:
            TargetUnavailable: it is not installed; holds the install line.
        """
        return require("coreml", TARGETS["coreml"].packages)

    def refuse_options(self, options: TargetOptions) -> None:
        """Refuse what Core ML has no counterpart for.

        Raises:
            UsageError: NHWC layout, an ONNX version, an unknown deployment target, or one whose
                systems lack int8.
        """
        refuse_foreign_options(options, self.name)
        deployment = options.minimum_deployment_target
        if deployment is not None and deployment not in DEPLOYMENT_TARGETS:
            raise UsageError(
                f"unknown minimum deployment target {deployment!r} for coreml "
                f"(iOS15 or later).{nearest(deployment, DEPLOYMENT_TARGETS)}"
            )
        if is_quantized(options) and deployment in _WITHOUT_INT8:
            lacks = "Core ML of {} has no int8 activations"
            if options.precision == "int8-weights":
                lacks = "coremltools converts no int8 weights for {}"
            raise UsageError(
                f"{lacks.format(deployment)}; take iOS17, macOS14, tvOS17 or watchOS10 or later for"
                " --minimum-deployment-target"
            )

    def refusals(self, program: Program, options: TargetOptions) -> list[OpRefusal]:
        """Return every operator of the decomposed program that coremltools cannot convert."""
        from cnn_export.targets.coreml.decomposed import decompose, unconverted

        return unconverted(decompose(program))

    def export(self, program: Program, options: TargetOptions, path: Path) -> None:
        """Convert and write the package folder; the same bytes for the same program.

        Raises:
            UsageError: an option is refused, see :meth:`refuse_options`.
            InputRefused: an input or output cannot be expressed in Core ML.
            OperatorRefused: coremltools refuses an operator, or the evaluator knows no kernel.
        """
        from cnn_export.targets.coreml.conversion import convert
        from cnn_export.targets.coreml.input_types import with_known_inputs
        from cnn_export.targets.coreml.interface import name_interface, refuse_names
        from cnn_export.targets.coreml.package import describe, write_package

        self.refuse_options(options)
        require_quantized(program, options)
        inputs = [spec.name for spec in program.inputs]
        outputs = [spec.name for spec in program.outputs]
        refuse_names([*inputs, *outputs])
        program = with_known_inputs(program)
        _refuse_inputs(program, options)
        spec, weights = convert(program, options)
        name_interface(spec, inputs, outputs)
        _refuse_unknown_ops(spec)
        describe(spec, _SUMMARY, options.metadata)
        write_package(spec, weights, path)

    def load(self, path: Path) -> Session:
        """Load the package in :attr:`runtime`.

        Raises:
            InputRefused: the package is damaged.
            OperatorRefused: the evaluator does not know one of its ops.
        """
        from cnn_export.targets.coreml.session import EvaluatorSession, RuntimeSession

        return RuntimeSession(path) if _ON_MACOS else EvaluatorSession(path)

    def partitions(self, path: Path) -> PartitionReport:
        """Count the ops. Core ML chooses its compute unit at run time, so nothing is outside."""
        return CoreMLFile(path).partitions()


def _refuse_inputs(program: Program, options: TargetOptions) -> None:
    for spec in program.inputs:
        if spec.dtype not in _INPUT_DTYPES:
            raise InputRefused(f"input {spec.name} is {spec.dtype_name}, which Core ML lacks")
        if not spec.shape:
            raise InputRefused(
                f"input {spec.name} is a scalar, which Core ML lacks; use shape (1,)"
            )
    if options.image_input:
        _refuse_as_image(program)


def _refuse_as_image(program: Program) -> None:
    if len(program.inputs) != 1:
        raise InputRefused(f"image_input needs one input, the program has {len(program.inputs)}")
    spec = program.inputs[0]
    is_image = (
        len(spec.shape) == 4
        and spec.shape[0] == 1
        and spec.shape[1] in _IMAGE_CHANNELS
        and spec.dtype == torch.float32
    )
    if not is_image:
        raise InputRefused(
            f"input {spec.name} {spec.shape} {spec.dtype_name} is no image; "
            "image_input needs float32 of shape (1, 1 or 3, height, width) and a fixed batch"
        )


def _refuse_unknown_ops(spec: Any) -> None:
    from cnn_export.artifact_files.coreml.package import computing_operations, main_block
    from cnn_export.targets.coreml.evaluator import unknown_kinds

    unknown = unknown_kinds(computing_operations(main_block(spec)[1]))
    if unknown and not _ON_MACOS:
        raise OperatorRefused(
            f"the conversion uses MIL ops that cannot be verified here: {', '.join(unknown)}; "
            "export on macOS, where Core ML itself is used"
        )
