"""Measure an artifact against the checkpoint, and judge.

Measuring knows only sessions and arrays; judging knows only figures and the tolerance table.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import nn

from cnn_export.errors import InputRefused, ParityError
from cnn_export.program.layout import from_artifact, to_artifact
from cnn_export.program.network_copy import network_copy
from cnn_export.program.output_structures import flatten
from cnn_export.program.program import Program
from cnn_export.program.tensors import Array, Layout, Precision, Session, Tensors, TensorSpec
from cnn_export.proof.double_precision import double_copy, doubled
from cnn_export.proof.probes import Probe
from cnn_export.proof.tolerances import ACCEPTED_MAX, FLOOR_MULTIPLE, Tolerance
from cnn_export.reparam.proof.one_thread import one_thread

_ROUNDING_MULTIPLE = 100.0
"""A right artifact errs by up to about as many times its limit (measured: norms in ExecuTorch, 20
times); of a wrong one nobody should accept anything."""


@dataclasses.dataclass(frozen=True)
class Reference:
    """What the checkpoint computes on one probe.

    ``outputs`` are float64 (integers stay integers); ``float32_floor`` is the error of torch's
    own float32 run per output, in units of the output's RMS; ``dtype`` is what the checkpoint
    ran in.
    """

    probe: Probe
    outputs: Tensors
    float32_floor: dict[str, float]
    dtype: str


@dataclasses.dataclass(frozen=True)
class OutputParity:
    """One output of one probe: ``relative_error`` and both others are in units of ``rms``.

    ``float32_error`` is that of torch's own float32. ``differing`` counts the elements that are not
    equal, of ``elements``, where the output is whole numbers (``None``: it is not).
    """

    probe: str
    output: str
    max_abs_error: float
    relative_error: float
    rms: float
    limit: float
    float32_error: float = 0.0
    differing: int | None = None
    elements: int = 0

    @property
    def passed(self) -> bool:
        """Whether the error is a number within the limit."""
        return bool(self.relative_error <= self.limit)

    def is_accepted(self, tolerance: float | None) -> bool:
        """Whether a user accepts the error; of whole numbers nobody can."""
        if tolerance is None or self.differing is not None:
            return False
        return bool(self.relative_error <= tolerance)


def references(
    module: nn.Module, probes: Sequence[Probe], outputs: tuple[TensorSpec, ...]
) -> list[Reference]:
    """Run the original module in float64, and in float32 for the noise floor.

    Where it names float32 itself it computes in float64 too, see :mod:`.double_precision`. A module
    that cannot run in float64 nevertheless has its float32 result for the reference, and a floor
    of zero.

    Raises:
        InputRefused: the checkpoint itself fails, or gives NaN or infinity, on a probe.
    """
    singles = _float32_results(module, probes, outputs)
    exacts = _float64_results(module, probes, outputs)
    dtype = "float32" if exacts is None else "float64"
    result: list[Reference] = []
    for probe, single, exact in zip(probes, singles, exacts or singles, strict=True):
        _require_finite(exact, probe)
        floor = {name: relative_error(single[name], exact[name]) for name in exact}
        result.append(Reference(probe, exact, floor, dtype))
    return result


def _float32_results(
    module: nn.Module, probes: Sequence[Probe], outputs: tuple[TensorSpec, ...]
) -> list[Tensors]:
    try:
        single = network_copy(module)
        return [_run(single, probe, outputs, torch.float32) for probe in probes]
    except Exception as error:  # whatever the user's own forward raises
        raise InputRefused(
            f"the network itself fails on a probe: {type(error).__name__}: {error}"
        ) from error


def _float64_results(
    module: nn.Module, probes: Sequence[Probe], outputs: tuple[TensorSpec, ...]
) -> list[Tensors] | None:
    """Return the module's float64 outputs per probe, or None where it only runs in float32."""
    try:
        double = double_copy(module)
        with one_thread(), doubled():
            return [_run(double, probe, outputs, torch.float64) for probe in probes]
    except Exception:  # an operator without a float64 kernel, or an assertion of the user's own
        return None


def _require_finite(values: Tensors, probe: Probe) -> None:
    for name, value in values.items():
        if not np.isfinite(value).all():
            raise InputRefused(
                f"the checkpoint itself gives NaN or infinity in {name!r} on the "
                f"{probe.name} probe; check its weights and input range"
            )


def measure(
    session: Session,
    program: Program,
    layout: Layout,
    expected: Sequence[Reference],
    tolerance: Tolerance,
) -> list[OutputParity]:
    """Run the artifact on every reference's probe and compare output by output.

    Whole numbers (classes, masks) must be the same: the next class is another answer, however
    small the step is beside their RMS.

    Raises:
        ParityError: an output is missing, surplus, or of another shape.
    """
    figures: list[OutputParity] = []
    for reference in expected:
        raw = session(to_artifact(reference.probe.inputs, program.inputs, layout))
        require_names(raw, program.outputs)
        actual = from_artifact(raw, program.outputs, layout)
        for name, exact in reference.outputs.items():
            require_form(name, actual[name], exact)
            whole = name in program.whole_outputs
            limit = tolerance.limit(reference.float32_floor[name])
            figures.append(_figure(reference, name, actual[name], 0.0 if whole else limit, whole))
    return figures


def _figure(
    reference: Reference, name: str, actual: Array, limit: float, whole: bool
) -> OutputParity:
    exact = reference.outputs[name]
    return OutputParity(
        probe=reference.probe.name,
        output=name,
        max_abs_error=_max_abs(actual, exact),
        relative_error=relative_error(actual, exact),
        rms=_rms(exact),
        limit=limit,
        float32_error=reference.float32_floor[name],
        differing=int(np.count_nonzero(actual != exact)) if whole else None,
        elements=exact.size,
    )


def judge(
    figures: Sequence[OutputParity],
    target: str,
    precision: Precision = "fp32",
    accepted: float | None = None,
) -> None:
    """Raise unless every figure is within its limit, or within what a user ``accepted``.

    ``precision`` is the artifact's.

    Raises:
        ParityError: names the worst output, its error, the limit and torch's own float32 error.
    """
    failed = [each for each in figures if not (each.passed or each.is_accepted(accepted))]
    if failed:
        worst = max(failed, key=lambda f: np.nan_to_num(f.relative_error, nan=np.inf))
        told = _told(worst) if worst.differing is None else _whole_told(worst, precision)
        raise ParityError(f"{target}: {told}; nothing was written")


def _told(figure: OutputParity) -> str:
    """Say how far the output is off, beside torch; where float32 is the reason, say that."""
    own = figure.float32_error
    ours = (
        f"output {figure.output!r} is off by {figure.relative_error:.2g} of its RMS on the "
        f"{figure.probe} probe (limit {figure.limit:.2g}), torch's own float32 by {own:.2g}"
    )
    if figure.relative_error <= FLOOR_MULTIPLE * own or not math.isfinite(own):
        return f"float32 itself loses this network's digits: {ours}{_way(figure)}"
    return f"{ours}{_way(figure)}"


def _way(figure: OutputParity) -> str:
    """Say how such an error is accepted, where it is small enough for rounding."""
    if not figure.relative_error <= min(_ROUNDING_MULTIPLE * figure.limit, ACCEPTED_MAX):
        return ""
    return "; --tolerance accepts a measured error, recorded as not proven"


def _whole_told(figure: OutputParity, precision: Precision) -> str:
    """Say how many elements differ; where the digits decide near-ties, say that."""
    return (
        f"output {figure.output!r}, whole numbers, differs in {figure.differing} of "
        f"{figure.elements} elements on the {figure.probe} probe{_undecided(figure, precision)}"
    )


def _undecided(figure: OutputParity, precision: Precision) -> str:
    advice = "return the scores, and choose outside the network"
    if figure.float32_error:
        return f"; torch's own float32 differs as well: near-ties that it cannot decide; {advice}"
    own = ", torch's own float32 in none"
    if precision == "fp32":
        return own
    return f"{own}: float16 has not the digits to decide near-ties; {advice}, or use fp32"


def compare_references(
    changed: Reference, original: Reference
) -> Iterator[tuple[str, float, float, float]]:
    """Yield per output its name, max |changed − original|, the same over the RMS, and the RMS."""
    for name, exact in original.outputs.items():
        actual = changed.outputs[name]
        yield name, _max_abs(actual, exact), relative_error(actual, exact), _rms(exact)


def relative_error(actual: Array, exact: Array) -> float:
    """Return max |actual − exact| / RMS(exact); the plain maximum where the RMS is zero."""
    return _max_abs(actual, exact) / (_rms(exact) or 1.0)


def _max_abs(actual: Array, exact: Array) -> float:
    if exact.size == 0:
        return 0.0
    return float(np.max(np.abs(actual.astype(np.float64) - exact.astype(np.float64))))


def _rms(exact: Array) -> float:
    return float(np.sqrt(np.mean(np.square(exact.astype(np.float64))))) if exact.size else 0.0


def require_names(actual: Tensors, outputs: tuple[TensorSpec, ...]) -> None:
    """Check that an artifact returns the program's outputs and no others.

    Raises:
        ParityError: names both.
    """
    expected = [spec.name for spec in outputs]
    if sorted(actual) != sorted(expected):
        raise ParityError(
            f"the artifact has outputs {sorted(actual)}, the checkpoint {expected}; "
            "nothing was written"
        )


def require_form(name: str, actual: Array, exact: Array) -> None:
    """Check shape and dtype: float32 for floating outputs; integers may be narrower.

    Raises:
        ParityError: names the output, and what it is in both.
    """
    floating = np.issubdtype(exact.dtype, np.floating)
    if floating != (actual.dtype == np.float32):
        raise ParityError(
            f"output {name!r} is {actual.dtype} in the artifact, a float32 checkpoint gives "
            f"{'float32' if floating else exact.dtype}; nothing was written"
        )
    if actual.shape != exact.shape:
        raise ParityError(
            f"output {name!r} has shape {list(actual.shape)} in the artifact and "
            f"{list(exact.shape)} in the checkpoint; nothing was written"
        )


def _run(
    module: nn.Module, probe: Probe, outputs: tuple[TensorSpec, ...], dtype: torch.dtype
) -> Tensors:
    tensors = [torch.from_numpy(value) for value in probe.inputs.values()]
    tensors = [t.to(dtype) if t.is_floating_point() else t for t in tensors]
    with torch.no_grad():
        values = [v for v in flatten(module(*tensors)) if v is not None]
    return {spec.name: v.numpy() for spec, v in zip(outputs, values, strict=True)}
