"""The main job, step by step: load, trace, reparameterize, then per target lower, prove, record.

Everything is made in a private folder; only when every target of the job has passed are the
files renamed to where they belong.
"""

from __future__ import annotations

import contextlib
import dataclasses
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from cnn_export.artifact_files.formats import refusing_whatever_happens
from cnn_export.atomic_commit import settle, staging
from cnn_export.errors import (
    AccuracyRefused,
    ExportError,
    InputRefused,
    OperatorRefused,
    ParityError,
    one_line,
)
from cnn_export.job.approximation import approximate, described
from cnn_export.job.destination import Destination, plan_destination
from cnn_export.job.legalization import (
    Legalized,
    legalize,
    normalize,
    reparameterize,
    rounded_references,
)
from cnn_export.job.precisions.plan import Plan
from cnn_export.job.precisions.planned import planned, refuse_what_no_format_does
from cnn_export.job.quiet import VendorLog, quiet
from cnn_export.job.request import Artifact, ExportRequest, ExportResult, Step, silent_step
from cnn_export.manifest.builder import build_manifest, embedded_metadata
from cnn_export.manifest.fields import Approximation
from cnn_export.manifest.manifest import Manifest, manifest_path, not_proven, wrong_field
from cnn_export.program.program import Program
from cnn_export.program.tensors import Precision
from cnn_export.proof.parity import references
from cnn_export.proof.probes import Probe, manifest_probe, pixel_probes, standard_probes
from cnn_export.proof.samples import sample_probe
from cnn_export.proof.tolerances import TOLERANCES, refuse_tolerance
from cnn_export.reparam import Report
from cnn_export.source.load import load
from cnn_export.source.source_model import SourceModel, trace
from cnn_export.targets import load_target, require_targets, target_names
from cnn_export.targets.base import Target
from cnn_export.targets.legalizations import INT8, INT8_EQUALIZED, Legalization
from cnn_export.targets.options import TargetOptions
from cnn_export.targets.trial import RunningArtifact, explained, opened

_T = TypeVar("_T")
_DYNAMIC_PROBE_BATCH = 3


@dataclasses.dataclass(frozen=True)
class _Prepared:
    """What all targets of a job share, and the network as each one takes it."""

    source: SourceModel
    plan: Plan
    normalization: Report | None
    report: Report | None
    legalized: Mapping[str, Legalized]
    options: TargetOptions
    approximation: Approximation | None
    tolerance: float | None

    @property
    def reports(self) -> tuple[Report | None, ...]:
        """What was done to the graph for all targets, in order."""
        return self.normalization, self.report

    def cost(self, target: Target) -> tuple[int, int]:
        """Return (macs, parameter bytes) of the network as a target takes it."""
        measured = self.legalized[target.name].cost
        return measured.macs, measured.parameter_bytes


def run(request: ExportRequest, step: Step = silent_step) -> ExportResult:
    """Carry out one job.

    Raises:
        ExportError: see :mod:`cnn_export.errors`; nothing has been written then.
    """
    names = target_names(request.targets)
    require_targets(names)
    targets = [load_target(name) for name in names]
    for target in targets:
        target.refuse_options(request.options)
    refuse_what_no_format_does(request, targets)
    if request.tolerance is not None:
        refuse_tolerance(
            request.tolerance, names, request.options.precision, dry_run=request.dry_run
        )
    if request.dry_run:
        prepared = _prepare(request, targets, step)
        return _result(prepared, (), {t.name: _refusals(t, prepared, step) for t in targets})
    destination = plan_destination(request.output, request.source.stem, targets)
    settled = settle(destination.folder)
    prepared = _prepare(request, targets, step)
    with staging(destination.folder) as staged:
        made = [_make(target, prepared, destination, staged.folder, step) for target in targets]
        with step("write"):
            names = [path.name for each in made for path in (each.path, each.manifest_path)]
            settled += staged.commit(names)
    return _result(prepared, tuple(made), {}, settled)


def _result(
    prepared: _Prepared,
    artifacts: tuple[Artifact, ...],
    refusals: Mapping[str, tuple[str, ...]],
    settled: tuple[str, ...] = (),
) -> ExportResult:
    forms = {name: each.report for name, each in prepared.legalized.items() if each.report}
    accepted = [note for each in artifacts if (note := not_proven(each.manifest))]
    notes = (*settled, *prepared.source.notes, *accepted)
    return ExportResult(
        artifacts,
        prepared.report,
        notes,
        refusals,
        prepared.approximation,
        forms,
        prepared.normalization,
        prepared.plan.quantized,
    )


def _prepare(request: ExportRequest, targets: Sequence[Target], step: Step) -> _Prepared:
    with step("load"):
        source = load(request.source)
    with step("trace"):
        program = trace(source)
    normalization, inside = None, source.normalization_inside
    if inside is not None:
        with step("normalize"):
            normalization = normalize(program, inside, prove_equal=request.reparam)
    with step("reference"):
        probes = _probes(source, program, request.samples, request.options.precision)
        expected = references(source.as_called, probes, program.outputs)
    wanted, approximation = source.approximated_multiplier, None
    if wanted is not None:
        with step("approximate"):
            expected, approximation = approximate(
                program, wanted, source.shortcut_multiplier, expected
            )
        source = dataclasses.replace(source, notes=(*source.notes, described(approximation)))
    report, options = None, request.options
    if request.reparam:
        with step("reparameterize"):
            exact = expected if approximation else rounded_references(source, program, expected)
            report = reparameterize(program, exact)
    with step("legalize"):
        legalizations = {target.name: _legalization(target, request) for target in targets}
        legalized = legalize(program, legalizations, options.precision, reparam=request.reparam)
    with step("quantize") if request.quantization else contextlib.nullcontext():
        plan = planned(request, targets, source, program, legalized, expected)
    source = dataclasses.replace(source, notes=(*source.notes, *plan.notes))
    return _Prepared(
        source, plan, normalization, report, legalized, options, approximation, request.tolerance
    )


def _legalization(target: Target, request: ExportRequest) -> Legalization:
    """Return a target's own passes; in int8 those of all, as there is one decision on one graph."""
    asked = request.quantization
    if asked is None or asked.precision != "int8":
        return target.legalization
    return INT8_EQUALIZED if asked.equalize else INT8


def _probes(
    source: SourceModel, program: Program, samples: Sequence[Path], precision: Precision
) -> list[Probe]:
    pixels = source.takes_pixels
    batch = _DYNAMIC_PROBE_BATCH if program.dynamic_batch else 1
    return [
        *(
            pixel_probes(program.inputs, batch)
            if pixels
            else standard_probes(program.inputs, precision, batch)
        ),
        manifest_probe(program.inputs, kind="pixel" if pixels else "unit"),
        *(sample_probe(path, program, source.normalization, pixels=pixels) for path in samples),
    ]


def _refusals(target: Target, prepared: _Prepared, step: Step) -> tuple[str, ...]:
    """Make and prove the artifact where nothing is kept; what a job would say is said here too."""
    with tempfile.TemporaryDirectory(prefix="cnn-export-") as folder:
        try:
            _made(target, prepared, Path(folder) / f"dry{target.suffix}", step)
        except OperatorRefused as error:
            return error.reasons
    return ()


def _make(
    target: Target, prepared: _Prepared, destination: Destination, folder: Path, step: Step
) -> Artifact:
    """Make, prove and record one artifact in the private folder."""
    final = destination.artifact(target)
    staged = folder / final.name
    manifest = _made(target, prepared, staged, step)
    manifest_path(staged).write_text(manifest.to_json(), encoding="utf-8")
    return Artifact(final, manifest_path(final), manifest)


def _made(target: Target, prepared: _Prepared, staged: Path, step: Step) -> Manifest:
    """Convert and prove; where that fails for the error alone, once more with what is accepted.

    Raises:
        OperatorRefused: converter or runtime cannot take an operator; names it and its line.
    """
    legalized = prepared.legalized[target.name]
    program = prepared.plan.program(target)
    try:
        legalized.refuse_obstacles()
        try:
            return _converted(target, prepared, program, staged, step)
        except AccuracyRefused:
            raise
        except ParityError:
            if prepared.tolerance is None:
                raise
        _remove(staged)
        return _converted(target, prepared, program, staged, step, prepared.tolerance)
    except OperatorRefused as error:
        refused = error
    with step(f"{target.name}: find the operator"):
        options = prepared.options
        raise _vendor(
            target.name, lambda: explained(refused, target, program, options)
        ) from refused


def _converted(
    target: Target,
    prepared: _Prepared,
    program: Program,
    staged: Path,
    step: Step,
    accepted: float | None = None,
) -> Manifest:
    with step(f"{target.name}: convert"):
        with_metadata = _with_metadata(target, prepared, program, accepted)
        _vendor(target.name, lambda: target.export(program, with_metadata, staged))
    with step(f"{target.name}: verify"):
        return _vendor(target.name, lambda: _prove(target, prepared, program, staged, accepted))


def _remove(staged: Path) -> None:
    shutil.rmtree(staged) if staged.is_dir() else staged.unlink()


def _with_metadata(
    target: Target, prepared: _Prepared, program: Program, accepted: float | None
) -> TargetOptions:
    metadata = embedded_metadata(
        target=target,
        options=prepared.options,
        source=prepared.source,
        program=program,
        cost=prepared.cost(target),
        approximation=prepared.approximation,
        quantization=prepared.plan.record(target),
        scales=prepared.plan.scales(),
        accepted=accepted,
    )
    return dataclasses.replace(prepared.options, metadata=metadata)


def _prove(
    target: Target, prepared: _Prepared, program: Program, staged: Path, accepted: float | None
) -> Manifest:
    options, plan = prepared.options, prepared.plan
    artifact = RunningArtifact(staged, opened(target, staged), program, options.layout)
    tolerance = TOLERANCES[target.name, options.precision]
    expected = plan.references(target)
    figures = plan.figures(target, artifact, expected, accepted)
    record, accuracy = plan.record(target), plan.accuracy(target, artifact)
    legalized = prepared.legalized[target.name]
    with refusing_whatever_happens(staged):
        partitions = target.partitions(staged)
    try:
        return build_manifest(
            path=staged,
            name=staged.name,
            target=target,
            options=options,
            source=prepared.source,
            program=program,
            reports=[each for each in (*prepared.reports, legalized.report) if each is not None],
            cost=prepared.cost(target),
            figures=figures,
            uniform=next(each for each in expected if each.probe.name == "uniform"),
            tolerance=tolerance,
            partitions=partitions,
            shared_versions={"torch": metadata.version("torch")},
            approximation=prepared.approximation,
            quantization=record and record.model_copy(update={"accuracy": accuracy}),
            scales=plan.scales(),
            accepted=accepted,
        )
    except ValidationError as error:
        fault = wrong_field(error)
        raise InputRefused(f"{target.name}: the manifest cannot hold {fault}") from error


def _vendor(name: str, call: Callable[[], _T]) -> _T:
    """Run vendor code silently; an unexpected failure becomes one line naming the target."""
    log = VendorLog()
    try:
        with quiet(log):
            return call()
    except (ExportError, OSError):
        raise
    except Exception as error:
        error.add_note(log.text)
        raise ExportError(f"{name}: {one_line(error)}") from error
