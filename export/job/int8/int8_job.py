"""What ``--precision int8`` adds to a job: one decision, each target's spelling, its references."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from torch import nn

from cnn_export.errors import AccuracyRefused, InputRefused, UsageError
from cnn_export.job.int8.forms import form_of
from cnn_export.job.int8.int8_plan import Int8
from cnn_export.program.program import Program
from cnn_export.proof.probes import Probe
from cnn_export.quantization.decision import INT8_MIN, Decision, TensorScale
from cnn_export.quantization.finetuning.recorded_decision import recorded_decision
from cnn_export.quantization.request import AUTOMATIC, QuantizationRequest
from cnn_export.quantization.scheme.options import SchemeOptions, parse_ranges
from cnn_export.quantization.spelling import Border, DeviceProfile
from cnn_export.quantization.stage.batching import batched, widened
from cnn_export.quantization.stage.border_program import (
    border_scales,
)
from cnn_export.quantization.stage.quantize import quantize
from cnn_export.quantization.stage.samples import read_samples
from cnn_export.reparam.proof.one_thread import one_thread
from cnn_export.source.source_model import SourceModel
from cnn_export.targets.base import Target


def refuse_early(
    request: QuantizationRequest, targets: Sequence[Target], *, dynamic_batch: bool
) -> None:
    """Refuse what a format cannot do in int8, before anything is read.

    Raises:
        UsageError: says what to do instead.
    """
    names = [each.name for each in targets]
    if "coreml" in names and request.border != "float":
        raise UsageError(
            f"--io {request.border} does not apply to coreml: arrays of int8 go into Core ML from"
            " iOS 26 on only, of uint8 never; export it in a job of its own, with --io float"
        )
    if "executorch" in names and dynamic_batch:
        raise UsageError(
            "executorch 1.4 crashes on large batches of an int8 network with a dynamic batch; give"
            " --batch N, or export the other formats alone"
        )


def quantized_for(
    targets: Sequence[Target],
    program: Program,
    source: SourceModel,
    request: QuantizationRequest,
    recorded: Decision | None,
    probes: Sequence[Probe],
    profile: DeviceProfile | None = None,
) -> Int8:
    """Read the samples, decide once for all targets (or take what is ``recorded``), and judge.

    Raises:
        InputRefused, UsageError: the samples, or what is asked of them.
        AccuracyRefused: int8 answers otherwise than float; says what to do.
    """
    wide, batch = _corrigible(program) if request.bias_correction else batched(program)
    pixels = source.takes_pixels
    samples = read_samples(request, program, source.normalization, pixels=pixels, batch=batch)
    arithmetics = [form_of(each, profile).arithmetic for each in targets]
    named = {each.name: each for each in arithmetics}
    options = _scheme(program, source, request)
    try:
        with one_thread():
            border = _pixels(program, source, request.border)
            quantized = quantize(
                wide, request, samples, options, list(named.values()), recorded, border
            )
    except AccuracyRefused as error:
        said = "; ".join((str(error), *samples.notes))
        raise AccuracyRefused(said) from error
    _refuse_float_border(program, quantized.decision, request.border)
    return Int8(quantized, program, request, tuple(probes), profile)


def _corrigible(program: Program) -> tuple[Program, int]:
    """Return the program as it takes all samples at once, whose means biases are corrected by.

    Raises:
        UsageError: it takes one batch size only.
    """
    wide = widened(program)
    if wide is None:
        raise UsageError(
            "--bias-correction compares means over many samples at once, and this network takes"
            " only its own batch; give --batch dynamic, or drop it"
        )
    return wide, batched(program)[1]


def _pixels(program: Program, source: SourceModel, border: Border) -> dict[str, TensorScale]:
    """Return the scale of pixels that come in as integers: a step of 1 loses none of them."""
    if border == "float" or not source.takes_pixels:
        return {}
    inputs = program.graph_module.graph.find_nodes(op="placeholder")
    return {node.name: TensorScale(1.0, INT8_MIN, "pixels, 0 to 255") for node in inputs}


def _refuse_float_border(program: Program, decision: Decision, border: Border) -> None:
    """Refuse a border of integers where a floating input or output has none."""
    held = border_scales(program, decision, border)
    specs = (*program.inputs, *program.outputs)
    left = [each.name for each in specs if each.dtype.is_floating_point and each.name not in held]
    if border != "float" and left:
        raise UsageError(
            f"--io {border}: {', '.join(map(repr, left))} would stay float, as what computes or"
            " reads it is; use --io float (--explain says what stays float)"
        )


def recorded_for(
    network: Path | nn.Module, program: Program, request: QuantizationRequest
) -> Decision | None:
    """Return the decision that a checkpoint was fine-tuned for, where it holds one.

    Raises:
        UsageError: ranges or float layers are asked for as well.
        InputRefused: it is damaged, or about another graph than the checkpoint's.
    """
    found = recorded_decision(network) if isinstance(network, Path) else None
    if found is None:
        return None
    asked = (request.ranges, request.keep_float, request.bias_correction, request.equalize)
    if any(asked):
        raise UsageError(
            "the checkpoint was fine-tuned for the int8 decision that it holds; drop --ranges,"
            " --keep-float, --bias-correction and --equalize"
        )
    known = {node.name for node in program.graph_module.graph.nodes}
    if missing := sorted((found.tensors.keys() | found.weights.keys()) - known):
        raise InputRefused(
            f"the int8 decision in {network.name} is about {missing[0]!r}, which its network has"
            " not; save it again from the module that prepare() returned"
        )
    return found


def _scheme(program: Program, source: SourceModel, request: QuantizationRequest) -> SchemeOptions:
    """Return how ranges are chosen; of pixels they are known, whatever the samples hold."""
    pixels = program.graph_module.graph.find_nodes(op="placeholder") if source.takes_pixels else ()
    return dataclasses.replace(
        parse_ranges(request.ranges),
        keep_float=frozenset(request.keep_float) - {AUTOMATIC},
        correct_biases=request.bias_correction,
        known_ranges={node.name: (0.0, 255.0) for node in pixels},
    )
