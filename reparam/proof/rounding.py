"""What rounding the rewritten weights to a short dtype does to the network's result.

A fold multiplies weights: two numbers that float16 holds may have a product it does not. Too large
ones become infinite; too small ones lose their digits, or become zero, without a trace.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import fx

from cnn_export.reparam.graph.copies import float64_copy
from cnn_export.reparam.graph.errors import ReparameterizationError
from cnn_export.reparam.graph.precision import default_dtype, promoted_default
from cnn_export.reparam.proof.comparison import measured, nudged, relative_error
from cnn_export.reparam.proof.probe import Probe, run

SHORT = (torch.float16, torch.bfloat16)
"""Dtypes whose range or digits an ordinary fold can leave."""

FACTOR = 4
"""Rounding the weights may move the result this many times as far as computing in the dtype does:
as far as an export may be from the checkpoint in its own precision."""


def refuse_lossy_rounding(
    probes: Sequence[Probe], rounded: fx.GraphModule, original: fx.GraphModule, dtype: torch.dtype
) -> None:
    """Compare a graph whose weights were rounded to ``dtype``, in float64 again, with the original.

    The limit is what computing in ``dtype`` does to ``original``, as it is, on the same probe,
    at least a unit in the last place, times :data:`FACTOR`.

    Raises:
        ReparameterizationError: the result moves by more.
    """
    for number, probe in enumerate(probes):
        with default_dtype(promoted_default(dtype)):
            error = measured(probe, rounded)
        allowed = FACTOR * torch.finfo(dtype).eps
        if error <= allowed:
            continue
        own = _own_error(probe, original, dtype)
        if not math.isfinite(own):
            if number:  # a large input, say, that leaves the dtype's range: it shows nothing
                continue
            own = _nudged_error(probe, original, dtype)
        allowed = max(allowed, FACTOR * own)
        if error > allowed:
            raise ReparameterizationError(
                f"folded weights are too small for {dtype}: rounding them moves the output by "
                f"{error:.2g} of its RMS, allowed is {allowed:.2g}; export in float32"
            )


def _own_error(probe: Probe, original: fx.GraphModule, dtype: torch.dtype) -> float:
    """Return how far computing in ``dtype`` is from float64; infinite where it cannot be done."""
    inputs = [_cast(value, torch.float64, dtype) for value in probe.inputs]
    try:
        outputs = run(original, inputs)
    except (IndexError, RuntimeError):  # an operator that has no such kernel on a CPU
        return math.inf
    return relative_error(probe.outputs, [_cast(each, dtype, torch.float64) for each in outputs])


def _nudged_error(probe: Probe, original: fx.GraphModule, dtype: torch.dtype) -> float:
    """Return how far rounding the input alone to ``dtype`` moves the float64 result."""
    with default_dtype(promoted_default(dtype)):
        return measured(nudged(probe, torch.finfo(dtype).eps), float64_copy(original, dtype))


def _cast(value: torch.Tensor, source: torch.dtype, to: torch.dtype) -> torch.Tensor:
    return value.to(to) if value.dtype == source else value
