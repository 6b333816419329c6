"""Build the manifest of one artifact from what the job measured. No I/O beyond hashing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import cast

import numpy as np

from cnn_export import __version__
from cnn_export.artifact_files.partition_report import PartitionReport
from cnn_export.manifest.consistency import probe_tolerance
from cnn_export.manifest.embedded import metadata
from cnn_export.manifest.field_types import DTypeName
from cnn_export.manifest.fields import (
    PROBE_VALUES,
    Approximation,
    Normalization,
    OutsideOperator,
    Parity,
    ParityFigure,
    Partitions,
    Pass,
    ProbeOutput,
    ProbeRecord,
    Source,
    TargetName,
    Tensor,
)
from cnn_export.manifest.manifest import Manifest
from cnn_export.manifest.quantization_fields import Quantization, Scale
from cnn_export.program import normalization
from cnn_export.program.layout import artifact_spec, is_image, to_artifact
from cnn_export.program.program import Program
from cnn_export.program.tensors import Precision, TensorSpec
from cnn_export.proof.parity import OutputParity, Reference
from cnn_export.proof.probes import PROBE_SEED
from cnn_export.proof.tolerances import Tolerance
from cnn_export.reparam import Report
from cnn_export.source.source_model import Origin, SourceModel
from cnn_export.targets.base import Target
from cnn_export.targets.options import TargetOptions
from cnn_export.untrusted.artifact_digest import artifact_digest

PRODUCER = f"cnn-export {__version__}"


def embedded_metadata(
    *,
    target: Target,
    options: TargetOptions,
    source: SourceModel,
    program: Program,
    cost: tuple[int, int],
    approximation: Approximation | None = None,
    quantization: Quantization | None = None,
    scales: Mapping[str, Scale] = MappingProxyType({}),
    accepted: float | None = None,
) -> dict[str, str]:
    """Return the string pairs that go inside the artifact; arguments are as of the manifest."""
    macs, parameter_bytes = cost
    return metadata(
        producer=PRODUCER,
        source=_source(source.origin),
        precision=options.precision,
        layout=options.layout,
        inputs=[_scaled(_input(spec, options, source), scales) for spec in program.inputs],
        outputs=[_scaled(_tensor(spec, options), scales) for spec in program.outputs],
        target=target.name,
        macs=macs,
        parameter_bytes=parameter_bytes,
        approximation=approximation,
        quantization=quantization,
        accepted=accepted,
    )


def build_manifest(
    *,
    path: Path,
    name: str,
    target: Target,
    options: TargetOptions,
    source: SourceModel,
    program: Program,
    reports: Sequence[Report],
    cost: tuple[int, int],
    figures: Sequence[OutputParity],
    uniform: Reference,
    tolerance: Tolerance,
    partitions: PartitionReport,
    shared_versions: Mapping[str, str],
    approximation: Approximation | None = None,
    quantization: Quantization | None = None,
    scales: Mapping[str, Scale] = MappingProxyType({}),
    accepted: float | None = None,
) -> Manifest:
    """Return the validated record of the artifact at ``path``, to be called ``name``.

    ``reports`` are those of the shared passes and of the target's own, in order; ``cost`` is (macs,
    parameter bytes); ``uniform`` is the reference on the manifest's probe; ``scales`` are those of
    integer inputs and outputs by name; ``accepted`` is the error that the user accepted where a
    figure is over its limit.
    """
    sha256, size = artifact_digest(path)
    macs, parameter_bytes = cost
    return Manifest(
        producer=PRODUCER,
        artifact=name,
        artifact_sha256=sha256,
        artifact_bytes=size,
        target=cast(TargetName, target.name),  # the schema checks it
        precision=options.precision,
        source=_source(source.origin),
        versions=dict(sorted({**shared_versions, **target.versions()}.items())),
        inputs=[_scaled(_input(spec, options, source), scales) for spec in program.inputs],
        outputs=[_scaled(_tensor(spec, options), scales) for spec in program.outputs],
        passes=[each for report in reports for each in _passes(report)],
        macs=macs,
        parameter_bytes=parameter_bytes,
        partitions=_partitions(partitions),
        parity=Parity(
            runtime=target.runtime,
            reference=_reference(approximation, quantization, options.precision, uniform.dtype),
            tolerance_reason=tolerance.reason,
            figures=[_figure(figure) for figure in figures],
            accepted=accepted,
        ),
        probe=_probe(
            uniform, figures, program, options, tolerance.base, source.takes_pixels, accepted
        ),
        approximation=approximation,
        quantization=quantization,
    )


def _reference(
    approximation: Approximation | None,
    quantization: Quantization | None,
    precision: Precision,
    dtype: str,
) -> str:
    network = "the checkpoint" if approximation is None else "the approximated checkpoint"
    if precision in ("int8", "int8-dynamic") and quantization is not None:
        said = f"the integer emulation of {network} in {{}}'s arithmetic"
        if quantization.proven_in is None:
            return said.format(quantization.arithmetic)
        return f"{said.format(quantization.proven_in)}, of the file with its activations in uint8"
    rounded = ", its weights rounded to int8," if precision == "int8-weights" else ""
    return f"{network}{rounded} in torch {dtype}"


def _scaled(tensor: Tensor, scales: Mapping[str, Scale]) -> Tensor:
    scale = scales.get(tensor.name)
    return tensor if scale is None else tensor.model_copy(update={"quantization": scale})


def _input(spec: TensorSpec, options: TargetOptions, source: SourceModel) -> Tensor:
    return _tensor(spec, options).model_copy(
        update={
            "normalization": _statistics(spec, source.normalization),
            "normalization_inside": _statistics(spec, source.normalization_inside),
        }
    )


def _statistics(
    spec: TensorSpec, known: normalization.Normalization | None
) -> Normalization | None:
    # A mask beside the image is not normalized by it.
    if known is None or not is_image(spec) or not known.fits(spec.shape[1]):
        return None
    return Normalization(mean=list(known.mean), std=list(known.std))


def _source(origin: Origin) -> Source:
    return Source(
        file=origin.file,
        sha256=origin.sha256,
        model=origin.model,
        arguments=dict(origin.arguments),
        container=origin.container,
    )


def _tensor(spec: TensorSpec, options: TargetOptions) -> Tensor:
    declared = artifact_spec(spec, options.layout)
    return Tensor(
        name=declared.name,
        shape=list(declared.shape),
        dtype=cast(DTypeName, declared.dtype_name),  # the schema checks it
        layout=options.layout if is_image(spec) else None,
    )


def _passes(report: Report) -> list[Pass]:
    return [
        Pass(
            name=each.name,
            rewrites=len(each.rewrites),
            refusals=[f"{refusal.node}: {refusal.reason}" for refusal in each.refusals],
        )
        for each in report.passes
    ]


def _partitions(report: PartitionReport) -> Partitions:
    return Partitions(
        delegate=report.delegate,
        partitions=report.partitions,
        delegated_ops=report.delegated_ops,
        outside=[
            OutsideOperator(op=op.op, count=op.count, reason=op.reason) for op in report.outside
        ],
    )


def _figure(figure: OutputParity) -> ParityFigure:
    return ParityFigure(
        probe=figure.probe,
        output=figure.output,
        max_abs_error=figure.max_abs_error,
        relative_error=figure.relative_error,
        rms=figure.rms,
        limit=figure.limit,
    )


def _probe(
    uniform: Reference,
    figures: Sequence[OutputParity],
    program: Program,
    options: TargetOptions,
    least: float,
    takes_pixels: bool,
    accepted: float | None,
) -> ProbeRecord:
    # Whole numbers, whose limit is 0, must be equal: how far float32 is off them widens nothing.
    own = [figure for figure in figures if figure.probe == uniform.probe.name]
    measured = [(figure.limit, figure.relative_error) for figure in own]
    expected = to_artifact(uniform.outputs, program.outputs, options.layout)
    return ProbeRecord(
        kind="pixel" if takes_pixels or _takes_integers(program) else "unit",
        seed=PROBE_SEED,
        batch=next(iter(uniform.probe.inputs.values())).shape[0],
        outputs=[
            ProbeOutput(
                name=name,
                shape=list(value.shape),
                values=[float(v) for v in value.astype(np.float64).ravel()[:PROBE_VALUES]],
                rms=float(np.sqrt(np.mean(np.square(value.astype(np.float64))))),
            )
            for name, value in expected.items()
        ],
        tolerance=probe_tolerance(least, accepted, measured),
    )


def _takes_integers(program: Program) -> bool:
    """Whether an input is in 8 bits, whose probe takes every level."""
    return any(spec.dtype_name in ("int8", "uint8") for spec in program.inputs)
