"""Run coremltools' converter, and say which operator it stumbled over."""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import Any

from cnn_export.errors import OperatorRefused
from cnn_export.program.program import BATCH_MAX, Program
from cnn_export.program.tensors import TensorSpec
from cnn_export.targets import diagnosis
from cnn_export.targets.base import OpRefusal
from cnn_export.targets.coreml.decomposed import decompose, unconverted
from cnn_export.targets.coreml.vendor import coremltools, quiet
from cnn_export.targets.options import TargetOptions
from cnn_export.targets.quantized import is_quantized

_DEPLOYMENT_TARGET = "iOS16"
_INT8_DEPLOYMENT_TARGET = "iOS17"
"""The first with ``quantize`` and ``dequantize``, without which coremltools reads no constants."""

_COLOR_LAYOUTS = {1: "GRAYSCALE", 3: "RGB"}
_INEXACT_PASSES = {"common::fuse_elementwise_to_batchnorm"}
"""Spells y = w·x + b as a batch norm of variance 1 and epsilon 1e-5: 5e-6 off (coremltools 9.0)."""


def convert(program: Program, options: TargetOptions) -> tuple[Any, Path | None]:
    """Return the program as a ``Model`` protobuf, and the folder of its weight files.

    Raises:
        OperatorRefused: names the operator, its node and source line where they are known.
    """
    ct = coremltools()
    exported = decompose(program)
    if refused := unconverted(exported):
        raise OperatorRefused("; ".join(map(str, refused)), map(str, refused))
    try:
        with quiet():
            model = ct.convert(
                exported,
                inputs=[_image_type(ct, program.inputs[0])] if options.image_input else None,
                convert_to="mlprogram",
                minimum_deployment_target=getattr(ct.target, deployment_target(options)),
                compute_precision=_precision(ct, options),
                pass_pipeline=_passes(ct),
                skip_model_load=True,
            )
    except Exception as error:
        # The vendor raises whatever its internals raise; the user needs the operator.
        raise _conversion_failure(error) from error
    spec = model.get_spec()
    _refuse_fixed_batch(program, spec)
    return spec, Path(model.weights_dir) if model.weights_dir else None


def deployment_target(options: TargetOptions) -> str:
    """Return the oldest system that the package runs on: the one asked for, or the default."""
    default = _INT8_DEPLOYMENT_TARGET if is_quantized(options) else _DEPLOYMENT_TARGET
    return options.minimum_deployment_target or default


def _passes(ct: Any) -> Any:
    """Return the vendor's passes without those that change the function."""
    passes = ct.PassPipeline.DEFAULT
    passes.remove_passes(_INEXACT_PASSES)
    return passes


def _precision(ct: Any, options: TargetOptions) -> Any:
    return ct.precision.FLOAT16 if options.precision == "fp16" else ct.precision.FLOAT32


def _image_type(ct: Any, spec: TensorSpec) -> Any:
    layout = getattr(ct.colorlayout, _COLOR_LAYOUTS[spec.shape[1]])
    return ct.ImageType(
        name=spec.name, shape=spec.shape, scale=1.0, bias=[0.0] * spec.shape[1], color_layout=layout
    )


def _conversion_failure(error: Exception) -> OperatorRefused:
    reason = f"coremltools cannot convert it{diagnosis.plain(error)}"
    node = _converted_node(error)
    if node is None:
        return OperatorRefused(reason)
    refusal = OpRefusal(f"aten.{node.kind}", node.name, reason, diagnosis.source_line(node))
    return OperatorRefused(str(refusal), [str(refusal)])


def _converted_node(error: Exception) -> Any:
    """Return the node that coremltools was converting when it raised; it names it only in logs."""
    nodes = [
        frame.f_locals.get("node")
        for frame, _ in traceback.walk_tb(error.__traceback__)
        if frame.f_code.co_name == "convert_nodes"
    ]
    return nodes[-1] if nodes else None


def _refuse_fixed_batch(program: Program, spec: Any) -> None:
    if not program.dynamic_batch:
        return
    for feature in spec.description.input:
        sizes = feature.type.multiArrayType.shapeRange.sizeRanges
        if not sizes or (sizes[0].lowerBound, sizes[0].upperBound) != (1, BATCH_MAX):
            reason = (
                f"the batch of input {feature.name} did not stay dynamic (1..{BATCH_MAX}) "
                "in the conversion; export with a fixed batch"
            )
            raise OperatorRefused(reason, [reason])
