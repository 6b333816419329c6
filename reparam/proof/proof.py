"""Proof that a rewritten graph computes what the original computes, in float64."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence

import torch
from torch import fx

from cnn_export.reparam.graph.errors import ReparameterizationError
from cnn_export.reparam.program_pass import ProgramPass
from cnn_export.reparam.proof.cancellation import cancelled_output
from cnn_export.reparam.proof.comparison import compared, measured, nudged
from cnn_export.reparam.proof.probe import Probe, run
from cnn_export.reparam.report import Proof

TOLERANCE = 1e-9
"""Limit of ``max |a - b| / rms(a)``: float64 leaves a deep network's rounding far below it."""

ROUNDING_FACTOR = 64
"""A network may amplify rounding beyond the limit by itself: then that many times what changing
every input by a unit in the last place does to the original is allowed, up to the cap."""

CAP = 1e-6
"""Largest limit: no rewrite that is wrong stays below it on a random input."""


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
    error = compared(probe, rewritten)
    if isinstance(error, str):
        raise _incomparable(probe, steps, original)
    limit = TOLERANCE if tolerance is None else tolerance
    rounding = 0.0
    if error > limit and tolerance is None:
        rounding = ROUNDING_FACTOR * _moved_by_rounding(probe, original())
        limit = max(limit, min(rounding, CAP))
    if error <= limit:
        return Proof(error, limit)
    _refuse_cancellation(probe, rewritten, original(), limit)
    if rounding > CAP:
        raise ReparameterizationError(
            "nothing can be proven: the network amplifies float64 rounding: one unit in the last "
            f"place of its input moves the output by {_amplified(rounding)}; are its batch norm "
            "statistics those of a trained network?"
        )
    _refuse_other_function(probe, original(), limit)
    guilty, wrong = _bisect(steps, original, lambda graph: not measured(probe, graph) <= limit)
    error = measured(probe, wrong)
    raise ReparameterizationError(
        f"pass {guilty} changed what the network computes: relative error {error:.3g} in float64, "
        f"allowed is {limit:.3g}; leave it out and report it",
        guilty,
    )


def _incomparable(
    probe: Probe, steps: Sequence[ProgramPass], original: Callable[[], fx.GraphModule]
) -> ReparameterizationError:
    """Say what is wrong with the graph, and since when: from the start, or since a pass."""
    reason = compared(probe, original())
    if isinstance(reason, str):
        return ReparameterizationError(
            f"nothing can be proven: the traced graph is not the network in float64: {reason}"
        )
    guilty, broken = _bisect(steps, original, lambda graph: isinstance(compared(probe, graph), str))
    return ReparameterizationError(
        f"pass {guilty} broke the network: {compared(probe, broken)}; leave it out and report it",
        guilty,
    )


def _refuse_other_function(probe: Probe, original: fx.GraphModule, limit: float) -> None:
    """Refuse a graph that was another function before any pass touched it."""
    error = measured(probe, original)
    if error > limit:
        raise ReparameterizationError(
            f"nothing can be proven: in float64 the network is off by {error:.2g} of its own "
            "traced graph; does it compute otherwise in float64, or at random?"
        )


def _moved_by_rounding(probe: Probe, original: fx.GraphModule) -> float:
    """Return how far one unit in the last place of the inputs moves the original's own outputs."""
    own = dataclasses.replace(probe, outputs=run(original, probe.inputs))
    return measured(nudged(own), original)


def _amplified(rounding: float) -> str:
    own = rounding / ROUNDING_FACTOR
    return f"{own:.1g} of its RMS" if math.isfinite(own) else "more than can be compared"


def _require_finite(outputs: Sequence[torch.Tensor]) -> None:
    for index, output in enumerate(outputs):
        if output.numel() and not bool(output.isfinite().any()):
            raise ReparameterizationError(
                f"output {index} is not finite on the probe: nothing can be proven"
            )


def _refuse_cancellation(
    probe: Probe, rewritten: fx.GraphModule, original: fx.GraphModule, limit: float
) -> None:
    index = cancelled_output(probe, original, run(rewritten, probe.inputs), limit)
    if index is not None:
        raise ReparameterizationError(
            f"output {index} is zero up to rounding on the probe: nothing can be proven; leave it "
            "out"
        )


def _bisect(
    steps: Sequence[ProgramPass],
    original: Callable[[], fx.GraphModule],
    is_wrong: Callable[[fx.GraphModule], bool],
) -> tuple[str, fx.GraphModule]:
    """Return the first step after which the graph is wrong, and that graph."""

    def after(count: int) -> fx.GraphModule:
        graph_module = original()
        for step in steps[:count]:
            step(graph_module)
        return graph_module

    right, wrong = 0, len(steps)
    while wrong - right > 1:
        middle = (right + wrong) // 2
        right, wrong = (right, middle) if is_wrong(after(middle)) else (middle, wrong)
    return steps[wrong - 1].name, after(wrong)
