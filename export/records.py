"""Build the manifest of one artifact from what the job measured. No I/O beyond hashing."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

import numpy as np

from cnn_export import __version__
from cnn_export.inputs import normalization_statistics
from cnn_export.layout import artifact_spec, is_image, to_artifact
from cnn_export.manifest import (
    PROBE_VALUES,
    DTypeName,
    Manifest,
    Normalization,
    OutsideOperator,
    Parity,
    ParityFigure,
    Partitions,
    Pass,
    ProbeOutput,
    ProbeRecord,
    Tensor,
    artifact_digest,
)
from cnn_export.parity import OutputParity, Reference
from cnn_export.probes import PROBE_SEED
from cnn_export.program import Program, TensorSpec
from cnn_export.reparam import Report
from cnn_export.subject import Subject
from cnn_export.targets.base import PartitionReport, Target, TargetOptions
from cnn_export.tolerances import Tolerance

PRODUCER = f"cnn-export {__version__}"


def embedded_metadata(subject: Subject, program: Program, options: TargetOptions) -> dict[str, str]:
    """Return the string pairs that go inside the artifact."""
    inputs = [_tensor(spec, options, subject.normalization) for spec in program.inputs]
    return {
        "producer": PRODUCER,
        "model": subject.source.model,
        "source_sha256": subject.source.sha256 or "",
        "precision": options.precision,
        "layout": options.layout,
        "inputs": json.dumps([t.model_dump(exclude_none=True) for t in inputs], sort_keys=True),
    }


def build_manifest(
    *,
    path: Path,
    name: str,
    target: Target,
    options: TargetOptions,
    subject: Subject,
    program: Program,
    report: Report | None,
    cost: tuple[int, int],
    figures: Sequence[OutputParity],
    uniform: Reference,
    tolerance: Tolerance,
    partitions: PartitionReport,
    shared_versions: Mapping[str, str],
) -> Manifest:
    """Return the validated record of the artifact at ``path``, to be called ``name``.

    ``cost`` is (macs, parameter bytes); ``uniform`` is the reference on the manifest's probe.
    """
    sha256, size = artifact_digest(path)
    macs, parameter_bytes = cost
    return Manifest(
        producer=PRODUCER,
        artifact=name,
        artifact_sha256=sha256,
        artifact_bytes=size,
        target=target.name,
        precision=options.precision,
        source=subject.source,
        versions=dict(sorted({**shared_versions, **target.versions()}.items())),
        inputs=[_tensor(spec, options, subject.normalization) for spec in program.inputs],
        outputs=[_tensor(spec, options, None) for spec in program.outputs],
        passes=_passes(report),
        macs=macs,
        parameter_bytes=parameter_bytes,
        partitions=_partitions(partitions),
        parity=Parity(
            runtime=target.runtime,
            reference=f"the checkpoint in torch {uniform.dtype}",
            tolerance_reason=tolerance.reason,
            figures=[_figure(figure) for figure in figures],
        ),
        probe=_probe(uniform, program, options, tolerance),
    )


def _tensor(spec: TensorSpec, options: TargetOptions, normalization: str | None) -> Tensor:
    declared = artifact_spec(spec, options.layout)
    image = is_image(spec)
    statistics = None
    if image and normalization is not None:
        mean, std = normalization_statistics(normalization)
        if len(mean) in (1, spec.shape[1]):  # a mask beside the image is not normalized by it
            statistics = Normalization(mean=mean, std=std)
    return Tensor(
        name=declared.name,
        shape=list(declared.shape),
        dtype=cast(DTypeName, declared.dtype_name),  # the schema checks it
        layout=options.layout if image else None,
        normalization=statistics,
    )


def _passes(report: Report | None) -> list[Pass]:
    if report is None:
        return []
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
    uniform: Reference, program: Program, options: TargetOptions, tolerance: Tolerance
) -> ProbeRecord:
    expected = to_artifact(uniform.outputs, program.outputs, options.layout)
    return ProbeRecord(
        kind="pixel" if options.image_input else "unit",
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
        tolerance=tolerance.limit(max(uniform.float32_floor.values())),
    )
