"""Whether the parts of a manifest agree with each other, and with what a proof can give at all.

A damaged or edited manifest mostly still reads as one. What it says must then fit together: a
figure over its limit, a limit that no tolerance gives, or a probe of other outputs is no proof.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from cnn_export.manifest.fields import (
    PROBE_VALUES,
    ManifestFields,
    ParityFigure,
    ProbeOutput,
    Tensor,
)
from cnn_export.proof.tolerances import TOLERANCES
from cnn_export.targets import TARGETS

_MANIFEST_PROBE = "uniform"
_ANOTHER_DEVICE = 2.0
"""How much further off than this machine another one may be where an error was accepted."""
_ROUNDING = 1e-9
"""Relative. The figures were computed in float64 from one another."""

_WHOLE = ("onnx", "coreml")
"""Formats that are taken whole: one partition."""

_DELEGATES = {
    "onnx": "CPUExecutionProvider",
    "coreml": "Core ML",
    "tflite": "XNNPACK",
    "executorch": "XNNPACK",
}


class _Named(Protocol):
    @property
    def name(self) -> str: ...


def contradiction(manifest: ManifestFields) -> str | None:
    """Return the first thing in which the manifest contradicts itself, ``None`` if nothing."""
    return next((fault for check in _CHECKS if (fault := check(manifest))), None)


def _file_type(manifest: ManifestFields) -> str | None:
    suffix = TARGETS[manifest.target].suffix
    if manifest.artifact.endswith(suffix):
        return None
    return f"artifact {manifest.artifact!r} is no {suffix} file, which target {manifest.target} is"


def _names(manifest: ManifestFields) -> str | None:
    return _repeated("inputs", manifest.inputs) or _repeated("outputs", manifest.outputs)


def _repeated(what: str, named: Iterable[_Named]) -> str | None:
    names = [each.name for each in named]
    return None if len(set(names)) == len(names) else f"{what} {names} are not told apart by name"


def _batch(manifest: ManifestFields) -> str | None:
    """Only the first size of an input is ever open, and the probe's batch is the inputs'."""
    for tensor in manifest.inputs:
        if -1 in tensor.shape[1:]:
            return f"input {tensor.name!r} of shape {tensor.shape} is open beyond its batch"
    first = manifest.inputs[0].shape
    if first and first[0] not in (-1, manifest.probe.batch):
        return f"probe.batch is {manifest.probe.batch}, the inputs' is {first[0]}"
    return None


def _probe_outputs(manifest: ManifestFields) -> str | None:
    declared = {tensor.name: tensor for tensor in manifest.outputs}
    outputs = manifest.probe.outputs
    names = [output.name for output in outputs]
    if sorted(names) != sorted(declared):
        return f"probe.outputs are {names}, outputs are {list(declared)}"
    faults = (_probe_output(output, declared[output.name]) for output in outputs)
    return next((fault for fault in faults if fault), None)


def _probe_output(output: ProbeOutput, declared: Tensor) -> str | None:
    where = f"probe output {output.name!r}"
    if not _is_of(declared.shape, output.shape):
        return f"{where} has shape {output.shape}, the output {declared.shape}"
    count = math.prod(output.shape)
    expected = min(PROBE_VALUES, count)
    if len(output.values) != expected:
        return f"{where} of shape {output.shape} has {len(output.values)} values, not {expected}"
    squares = sum(value * value for value in output.values)
    total = count * output.rms * output.rms
    least = squares if count == expected else total
    if not squares * (1 - _ROUNDING) <= total <= least * (1 + _ROUNDING):
        return f"{where} has values that an RMS of {output.rms:.3g} does not fit"
    return None


def _is_of(declared: Sequence[int], actual: Sequence[int]) -> bool:
    return len(declared) == len(actual) and all(
        want == have or (want == -1 and have >= 1)
        for want, have in zip(declared, actual, strict=True)
    )


def probe_tolerance(
    least: float, accepted: float | None, measured: Sequence[tuple[float, float]]
) -> float:
    """Return what a run on the manifest's probe may be off by; ``measured``: limits and errors.

    Where an error was accepted it is at most twice what was measured on that probe: another device
    rounds otherwise, but a file that is as wrong as anybody would accept is another file.
    """
    limit = max([least, *(limit for limit, _ in measured)])
    if accepted is None:
        return limit
    worst = max((error for _, error in measured), default=0.0)
    return max(limit, min(accepted, _ANOTHER_DEVICE * worst))


def _limits(manifest: ManifestFields) -> str | None:
    """A limit lies within what the table gives for any noise floor; of whole numbers it is 0."""
    tolerance = TOLERANCES[manifest.target, manifest.precision]
    limits = [("probe.tolerance", manifest.probe.tolerance)]
    limits += [(f"the limit of {f.output!r}", f.limit) for f in manifest.parity.figures if f.limit]
    for what, limit in limits:
        if what == "probe.tolerance" and manifest.parity.accepted is not None:
            continue  # held to what was measured, below
        if not tolerance.base <= limit <= tolerance.cap:
            return (
                f"{what} is {limit:.3g}; {manifest.target} {manifest.precision} is judged by"
                f" {tolerance.base:g} to {tolerance.cap:g}"
            )
    return None


def _probe_tolerance(manifest: ManifestFields) -> str | None:
    """The probe is one of those that the proof was made on, so its limit stands there too."""
    tolerance, accepted = manifest.probe.tolerance, manifest.parity.accepted
    base = TOLERANCES[manifest.target, manifest.precision].base
    figures = [each for each in manifest.parity.figures if each.probe == _MANIFEST_PROBE]
    measured = [(each.limit, each.relative_error) for each in figures]
    known = {base, *(limit for limit, _ in measured)}
    if accepted is not None:
        known = {probe_tolerance(base, accepted, measured)}
    if tolerance in known:
        return None
    return f"probe.tolerance is {tolerance:.3g}, the proof on that probe had none of that limit"


def _figures(manifest: ManifestFields) -> str | None:
    outputs = {tensor.name for tensor in manifest.outputs}
    for figure in manifest.parity.figures:
        where = f"the figure of {figure.output!r} on {figure.probe!r}"
        if figure.output not in outputs:
            return f"{where} is of no output"
        if figure.relative_error > _allowed(figure, manifest.parity.accepted):
            return f"{where} is {figure.relative_error:.3g}, over its limit {figure.limit:.3g}"
        if fault := _is_relative(figure.max_abs_error, figure.relative_error, figure.rms):
            return f"{where} {fault}"
    measured = {figure.output for figure in manifest.parity.figures}
    unproven = sorted(outputs - measured)
    return f"no figure shows that output {unproven[0]!r} was proven" if unproven else None


def _allowed(figure: ParityFigure, accepted: float | None) -> float:
    """Return the limit, or what was accepted beyond it; whole numbers are always proven."""
    return max(figure.limit, accepted or 0.0) if figure.limit else figure.limit


def _acceptance(manifest: ManifestFields) -> str | None:
    """An error is accepted only of floats, and only where it is over a limit."""
    parity = manifest.parity
    if parity.accepted is None:
        return None
    if manifest.precision in ("int8", "int8-dynamic"):
        return f"an error is accepted, but {manifest.precision} must be equal to its integers"
    if all(figure.relative_error <= figure.limit for figure in parity.figures):
        return f"an error of {parity.accepted:.3g} is accepted, but every figure is proven"
    return None


def _whole_numbers(manifest: ManifestFields) -> str | None:
    """An output holds whole numbers, which must be equal, on every probe or on none."""
    exact = {f.output for f in manifest.parity.figures if f.limit == 0}
    near = {f.output for f in manifest.parity.figures if f.limit != 0}
    if both := sorted(exact & near):
        return f"output {both[0]!r} must be equal on one probe, and not on another"
    return None


def _drift(manifest: ManifestFields) -> str | None:
    for drift in manifest.approximation.drift if manifest.approximation else ():
        if fault := _is_relative(drift.max_abs_error, drift.relative_error, drift.rms):
            return f"the drift of {drift.output!r} on {drift.probe!r} {fault}"
    return None


def _is_relative(absolute: float, relative: float, rms: float) -> str | None:
    expected = absolute / (rms or 1.0)
    if math.isclose(relative, expected, rel_tol=_ROUNDING):
        return None
    return f"is {relative:.3g}, but {absolute:.3g} over an RMS of {rms:.3g} is {expected:.3g}"


def _partitions(manifest: ManifestFields) -> str | None:
    split = manifest.partitions
    if split.delegate != _DELEGATES[manifest.target]:
        return f"{split.delegate!r} is no delegate of {manifest.target} files"
    if manifest.target in _WHOLE:
        if split.partitions != 1:
            return f"{manifest.target} files are one partition, not {split.partitions}"
        return None
    if split.partitions > split.delegated_ops:
        return f"{split.partitions} partitions hold {split.delegated_ops} operators"
    return None


_CHECKS: tuple[Callable[[ManifestFields], str | None], ...] = (
    _file_type,
    _names,
    _batch,
    _probe_outputs,
    _acceptance,
    _limits,
    _probe_tolerance,
    _figures,
    _whole_numbers,
    _drift,
    _partitions,
)
