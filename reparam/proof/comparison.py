"""Compare what a graph computes with what the original computed."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import torch
from torch import fx

from cnn_export.reparam.proof.probe import Probe, run


def relative_error(expected: Sequence[torch.Tensor], actual: Sequence[torch.Tensor]) -> float:
    """Return the worst ``max |a - b| / rms(a)`` over outputs; infinite for unlike shapes or dtypes.

    Values that are not finite must agree exactly. ``rms`` is over one whole output.
    """
    if len(expected) != len(actual):
        return math.inf
    pairs = zip(expected, actual, strict=True)
    return max((_error(a, b) for a, b in pairs), default=0.0)


def compared(probe: Probe, graph_module: fx.GraphModule) -> float | str:
    """Return the relative error of a graph on the probe, or why there is none to be told.

    That is: the graph fails where the original did not, or gives other outputs, shapes or dtypes.
    """
    try:
        actual = run(graph_module, probe.inputs)
    except (IndexError, RuntimeError) as error:
        return f"it fails: {type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"
    if len(actual) != len(probe.outputs):
        return f"it has {len(actual)} outputs in place of {len(probe.outputs)}"
    for index, (expected, found) in enumerate(zip(probe.outputs, actual, strict=True)):
        if (expected.shape, expected.dtype) != (found.shape, found.dtype):
            return f"output {index} is {_form(found)} in place of {_form(expected)}"
    return relative_error(probe.outputs, actual)


def measured(probe: Probe, graph_module: fx.GraphModule) -> float:
    """Return the relative error of a graph on the probe; infinite where there is none."""
    error = compared(probe, graph_module)
    return math.inf if isinstance(error, str) else error


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


def _form(tensor: torch.Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')}{list(tensor.shape)}"


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
