"""Proof that a rewritten graph computes what the original computes, in float64."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence

import torch
from torch import fx

from cnn_export.reparam.cancellation import cancelled_output
from cnn_export.reparam.errors import ReparameterizationError
from cnn_export.reparam.probe import Probe, run
from cnn_export.reparam.program_pass import ProgramPass
from cnn_export.reparam.report import Proof

TOLERANCE = 1e-9
"""Limit of ``max |a - b| / rms(a)``: float64 leaves a deep network's rounding far below it."""

ROUNDING_FACTOR = 64
"""A network may amplify rounding beyond the limit by itself: then that many times what changing
every input by a unit in the last place does to the original is allowed, up to the cap."""

CAP = 1e-6
"""Largest limit: no rewrite that is wrong stays below it on a random input."""


def relative_error(expected: Sequence[torch.Tensor], actual: Sequence[torch.Tensor]) -> float:
    """Return the worst ``max |a - b| / rms(a)`` over outputs; infinite for unlike shapes or dtypes.

    Values that are not finite must agree exactly. ``rms`` is over one whole output.
    """
    if len(expected) != len(actual):
        return math.inf
    pairs = zip(expected, actual, strict=True)
    return max((_error(a, b) for a, b in pairs), default=0.0)


def prove(
    probes: Sequence[Probe],
    rewritten: fx.GraphModule,
    steps: Sequence[ProgramPass],
    original: Callable[[], fx.GraphModule],
    tolerance: float | None = None,
) -> Proof:
    """Return the relative error of ``rewritten``, on the probe where it is worst: one forward each.

    ``steps`` are the passes that changed the graph, in order, and ``original`` makes fresh copies
    of what they started from; both serve only when the error is above the limit: to measure how
    far rounding alone moves the original, and to find the guilty pass. A ``tolerance`` given is
    the limit whatever the network does; ``None`` is :data:`TOLERANCE`, or what rounding excuses.

    The first probe has to prove something; another that cannot is passed over.

    Raises:
        ReparameterizationError: the error is above the limit; names the guilty pass. Or the first
            probe shows nothing: an output has no finite element, or only rounding is left of it.
    """
    worst = Proof(0.0, TOLERANCE if tolerance is None else tolerance, 0)
    for number, probe in enumerate(probes):
        try:
            found = _prove_on(probe, rewritten, steps, original, tolerance)
        except ReparameterizationError as error:
            if number == 0 or error.pass_name is not None:
                raise
            continue
        count = worst.probes + 1
        is_worse = found.relative_error / found.tolerance > worst.relative_error / worst.tolerance
        worst = dataclasses.replace(found if is_worse or count == 1 else worst, probes=count)
    return worst


def _prove_on(
    probe: Probe,
    rewritten: fx.GraphModule,
    steps: Sequence[ProgramPass],
    original: Callable[[], fx.GraphModule],
    tolerance: float | None,
) -> Proof:
    """Prove it on one probe; an error without a pass's name says that the probe shows nothing."""
    _require_finite(probe.outputs)
    error = measured(probe, rewritten)
    limit = TOLERANCE if tolerance is None else tolerance
    rounding = 0.0
    if error > limit and tolerance is None:
        rounding = ROUNDING_FACTOR * measured(nudged(probe), original())
        limit = max(limit, min(rounding, CAP))
    if error <= limit:
        return Proof(error, limit)
    _refuse_cancellation(probe, rewritten, original(), limit)
    if rounding > CAP:
        raise ReparameterizationError(
            f"nothing can be proven: the network amplifies float64 rounding to {rounding:.1g} of "
            "its output; are its batch norm statistics those of a trained network?"
        )
    guilty, error = _bisect(probe, steps, original, limit)
    raise ReparameterizationError(
        f"pass {guilty} changed what the network computes: relative error {error:.3g} in float64, "
        f"allowed is {limit:.3g}; leave it out and report it",
        guilty,
    )


def _require_finite(outputs: Sequence[torch.Tensor]) -> None:
    for index, output in enumerate(outputs):
        if output.numel() and not bool(output.isfinite().any()):
            raise ReparameterizationError(
                f"output {index} is not finite on the probe: nothing can be proven"
            )


def _refuse_cancellation(
    probe: Probe, rewritten: fx.GraphModule, original: fx.GraphModule, limit: float
) -> None:
    actual = _answers(rewritten, probe)
    index = None if actual is None else cancelled_output(probe, original, actual, limit)
    if index is not None:
        raise ReparameterizationError(
            f"output {index} is zero up to rounding on the probe: nothing can be proven; leave it "
            "out"
        )


def nudged(probe: Probe, one_place: float | None = None) -> Probe:
    """Change every floating input element by one unit in the last place, up or down.

    That is the unit of its own dtype, or ``one_place`` of its value.
    """
    generator = torch.Generator().manual_seed(0)

    def moved(value: torch.Tensor) -> torch.Tensor:
        if not value.is_floating_point():
            return value
        sign = torch.randint(0, 2, value.shape, generator=generator) * 2 - 1
        return value * (1 + sign * (one_place or torch.finfo(value.dtype).eps))

    return dataclasses.replace(probe, inputs=tuple(moved(each) for each in probe.inputs))


def _bisect(
    probe: Probe,
    steps: Sequence[ProgramPass],
    original: Callable[[], fx.GraphModule],
    tolerance: float,
) -> tuple[str, float]:
    """Return the first step after which the graph is wrong, and the error there."""
    errors: dict[int, float] = {}

    def is_wrong(count: int) -> bool:
        graph_module = original()
        for step in steps[:count]:
            step(graph_module)
        errors[count] = measured(probe, graph_module)
        return not errors[count] <= tolerance

    right, wrong = 0, len(steps)
    while wrong - right > 1:
        middle = (right + wrong) // 2
        right, wrong = (right, middle) if is_wrong(middle) else (middle, wrong)
    if wrong not in errors:
        is_wrong(wrong)
    return steps[wrong - 1].name, errors[wrong]


def measured(probe: Probe, graph_module: fx.GraphModule) -> float:
    """Return the relative error of a graph on the probe; infinite where it does not run."""
    actual = _answers(graph_module, probe)
    return math.inf if actual is None else relative_error(probe.outputs, actual)


def _answers(graph_module: fx.GraphModule, probe: Probe) -> tuple[torch.Tensor, ...] | None:
    """Return what a graph computes, or ``None`` where it fails on what the original took."""
    try:
        return run(graph_module, probe.inputs)
    except (IndexError, RuntimeError):
        return None


def _error(expected: torch.Tensor, actual: torch.Tensor) -> float:
    if expected.shape != actual.shape or expected.dtype != actual.dtype:
        return math.inf
    if expected.numel() == 0:
        return 0.0
    a, b = expected.double(), actual.double()
    finite = a.isfinite()
    if not torch.equal(finite, b.isfinite()) or not _agree_exactly(a[~finite], b[~finite]):
        return math.inf
    if not bool(finite.any()):
        return 0.0
    difference = float((a - b)[finite].abs().max())
    rms = float(a[finite].square().mean().sqrt())
    if difference == 0.0:
        return 0.0
    return difference / rms if rms else math.inf


def _agree_exactly(a: torch.Tensor, b: torch.Tensor) -> bool:
    return bool(((a == b) | (a.isnan() & b.isnan())).all())
