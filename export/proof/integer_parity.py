"""Measure an int8 artifact against its integer emulation, and judge.

The emulation is the reference, bit for bit; :mod:`~cnn_export.quantization.emulation.limits` says
where a graph leaves anything else open, and why.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from cnn_export.errors import ParityError
from cnn_export.program.layout import from_artifact, to_artifact
from cnn_export.program.program import Program
from cnn_export.program.tensors import Array, Layout, Session
from cnn_export.proof.parity import OutputParity, Reference, require_form, require_names
from cnn_export.quantization.emulation.limits import OutputLimit

_HALF_STEP = 0.5


@dataclasses.dataclass(frozen=True)
class IntegerParity:
    """One output of one probe, beside its emulation.

    ``differing`` counts the elements that are not equal, of ``elements``; ``steps`` is the largest
    difference in steps of the output's grid (``None``: it has none); ``rms`` is the emulation's.
    """

    probe: str
    output: str
    elements: int
    differing: int
    steps: int | None
    max_abs_error: float
    rms: float
    limit: OutputLimit

    @property
    def relative_error(self) -> float:
        """The largest error over the RMS, or itself where that is zero."""
        return self.max_abs_error / (self.rms or 1.0)

    @property
    def passed(self) -> bool:
        """Whether the output is equal, or as close as its graph allows. NaN is not."""
        if self.differing == 0:
            return True
        if not np.isfinite(self.max_abs_error):
            return False
        if self.steps is None:
            return self.relative_error <= self.limit.relative_error
        return self.differing <= self.may_differ and self.steps <= self.limit.steps

    @property
    def may_differ(self) -> int:
        """How many elements of an output on a grid may differ: of a small output none."""
        return int(self.limit.share * self.elements)

    def figure(self) -> OutputParity:
        """Return the figure that a manifest holds; its limit is 0 where equality was asked."""
        limit = self.limit.relative_error
        if self.limit.step is not None:
            limit = self.limit.steps * self.limit.step / (self.rms or 1.0)
        return OutputParity(
            probe=self.probe,
            output=self.output,
            max_abs_error=self.max_abs_error,
            relative_error=self.relative_error,
            rms=self.rms,
            limit=limit,
            differing=self.differing,
            elements=self.elements,
        )


def measure_integers(
    session: Session,
    program: Program,
    layout: Layout,
    expected: Sequence[Reference],
    limits: Mapping[str, OutputLimit],
) -> list[IntegerParity]:
    """Run the artifact on every probe and compare it with what the emulation answered.

    ``program``: names and shapes of inputs and outputs, as the artifact has them; ``limits``: by
    output name. Integers and dequantized floats alike are compared as they are.

    Raises:
        ParityError: an output is missing, surplus, or of another shape or dtype.
    """
    figures: list[IntegerParity] = []
    for reference in expected:
        raw = session(to_artifact(reference.probe.inputs, program.inputs, layout))
        require_names(raw, program.outputs)
        actual = from_artifact(raw, program.outputs, layout)
        for name, exact in reference.outputs.items():
            require_form(name, actual[name], exact)
            _require_dtype(name, actual[name], exact)
            figures.append(compared(reference.probe.name, name, actual[name], exact, limits[name]))
    return figures


def compared(
    probe: str, output: str, actual: Array, exact: Array, limit: OutputLimit
) -> IntegerParity:
    """Return how far one output is from its emulation; both of one shape."""
    wide = exact.astype(np.float64)
    errors = np.abs(actual.astype(np.float64) - wide)
    largest = float(errors.max()) if errors.size else 0.0
    # NaN is the answer of no integer: it differs from itself, and the largest error is NaN.
    differing = int(np.count_nonzero(~(actual == exact)))
    steps = None
    if limit.step is not None and np.isfinite(largest):
        steps = int(np.floor(largest / limit.step + _HALF_STEP))
        # Less than half a step is another number all the same: it counts as one.
        steps = max(steps, 1) if differing else 0
    return IntegerParity(
        probe=probe,
        output=output,
        elements=exact.size,
        differing=differing,
        steps=steps,
        max_abs_error=largest,
        rms=float(np.sqrt(np.mean(np.square(wide)))) if exact.size else 0.0,
        limit=limit,
    )


def judge_integers(figures: Sequence[IntegerParity], target: str) -> None:
    """Raise unless every figure is within what its graph allows.

    Raises:
        ParityError: names the worst output, its probe, how many elements differ and by how much.
    """
    failed = [figure for figure in figures if not figure.passed]
    if failed:
        worst = max(failed, key=lambda figure: figure.differing / max(figure.elements, 1))
        raise ParityError(f"{target}: {_told(worst)}; nothing was written")


def _told(figure: IntegerParity) -> str:
    return (
        f"output {figure.output!r} is not what its integers give: {figure.differing} of "
        f"{figure.elements} elements differ on the {figure.probe} probe, {_distance(figure)} "
        f"({_allowed(figure)})"
    )


def _distance(figure: IntegerParity) -> str:
    if not np.isfinite(figure.max_abs_error):
        return "by NaN or infinity"
    if figure.steps is None:
        return f"by up to {figure.relative_error:.2g} of its RMS"
    return f"by up to {figure.steps} step{'' if figure.steps == 1 else 's'}"


def _allowed(figure: IntegerParity) -> str:
    limit = figure.limit
    if limit.is_equality:
        return f"limit none: {limit.reason}"
    if limit.step is None:
        return f"limit {limit.relative_error:.2g}: {limit.reason}"
    some = f"{limit.share:.0%} of them, here {figure.may_differ}"
    return f"limit {limit.steps} step in {some}: {limit.reason}"


def _require_dtype(name: str, actual: Array, exact: Array) -> None:
    # Other whole numbers may be narrower: LiteRT has 32 bits for 64.
    if exact.dtype.itemsize == 1 and actual.dtype != exact.dtype:
        raise ParityError(
            f"output {name!r} is {actual.dtype} in the artifact and {exact.dtype} in its graph; "
            "nothing was written"
        )
