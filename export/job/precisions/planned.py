"""Which plan a job follows, by its precision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cnn_export.job.int8.int8_job import quantized_for, recorded_for, refuse_early
from cnn_export.job.legalization import Legalized
from cnn_export.job.precisions.dynamic import dynamic_for, refuse_dynamic_early
from cnn_export.job.precisions.floats import ArtifactGate, Floats
from cnn_export.job.precisions.plan import Plan
from cnn_export.job.precisions.weights import refuse_weights_early, weights_for
from cnn_export.job.request import ExportRequest
from cnn_export.program.program import Program
from cnn_export.proof.parity import Reference
from cnn_export.quantization.request import QuantizationRequest
from cnn_export.quantization.stage.samples import read_samples
from cnn_export.source.source_model import SourceModel
from cnn_export.targets.base import Target

_GATE_BATCH = 8
"""Samples at a time where the batch is dynamic."""


def refuse_what_no_format_does(request: ExportRequest, targets: Sequence[Target]) -> None:
    """Refuse what a format cannot do in the precision, before anything is read.

    Raises:
        UsageError: says what to do instead.
    """
    asked = request.quantization
    if asked is None:
        return
    if asked.precision == "int8":
        refuse_early(asked, targets, dynamic_batch=request.source.batch is None)
    elif asked.precision == "int8-weights":
        refuse_weights_early(targets)
    elif asked.precision == "int8-dynamic":
        refuse_dynamic_early(targets, request.source.batch)


def planned(
    request: ExportRequest,
    targets: Sequence[Target],
    source: SourceModel,
    program: Program,
    legalized: Mapping[str, Legalized],
    expected: list[Reference],
) -> Plan:
    """Return what the job's precision makes of the network, judged where it can be by now.

    ``program`` is the reparameterized network, ``legalized`` the same by target.

    Raises:
        InputRefused, UsageError: the samples, or what is asked of them.
        AccuracyRefused: rounding changes too much of what the network answers.
    """
    asked = request.quantization
    if asked is None:
        return Floats(legalized, expected, request.options.precision)
    probes = [each.probe for each in expected]
    if asked.precision == "int8":
        (one,) = {id(each.program): each.program for each in legalized.values()}.values()
        recorded = recorded_for(request.source.network, one, asked)
        profile = request.options.device_profile
        return quantized_for(targets, one, source, asked, recorded, probes, profile)
    if asked.precision == "int8-weights":
        return weights_for(legalized, source, asked, probes, request.source.network)
    if asked.precision == "int8-dynamic":
        return dynamic_for(legalized, source, asked, probes)
    gate = _gate(program, source, asked)
    return Floats(legalized, expected, request.options.precision, gate)


def _gate(program: Program, source: SourceModel, asked: QuantizationRequest) -> ArtifactGate:
    shape = program.inputs[0].shape
    batch = _GATE_BATCH if program.dynamic_batch else (shape[0] if shape else 1)
    pixels = source.takes_pixels
    samples = read_samples(asked, program, source.normalization, pixels=pixels, batch=batch)
    return ArtifactGate(program, samples, asked.precision)
