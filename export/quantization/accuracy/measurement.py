"""Run two networks over the same samples and compare what they answer, output by output."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import torch

from cnn_export.program.tensors import Tensors
from cnn_export.quantization.accuracy.figures import OutputFigures, OutputMeter
from cnn_export.quantization.accuracy.output_kind import OutputKind, output_kind

Run = Callable[[Tensors], Tensors]
"""Computes outputs by name, arrays (batch, …), from inputs by name."""


def measure(
    pairs: Iterable[tuple[Tensors, Tensors]],
    kinds: Mapping[str, OutputKind] | None = None,
    labels: Sequence[int] | None = None,
    limits: Mapping[str, tuple[float, float]] | None = None,
) -> tuple[OutputFigures, ...]:
    """Return the figures of each output over pairs of (fp32 outputs, int8 outputs).

    ``kinds`` overrides what the first batch's values tell. ``labels`` are the true classes, a
    sample each, and belong to every output that holds classes. ``limits`` are the smallest and
    largest value that int8 has for an output.

    Raises:
        InputRefused: fp32 outputs that are not finite, or hardly ever those of the labels.
        ValueError: no pairs, other names or shapes, or another number of labels than of samples.
    """
    meters: dict[str, OutputMeter] = {}
    truth, position = None if labels is None else np.asarray(labels), 0
    for expected, got in pairs:
        if expected.keys() != got.keys():
            raise ValueError(f"outputs {list(expected)} against {list(got)}")
        for name, value in expected.items():
            if name not in meters:
                kind = (kinds or {}).get(name, output_kind(value))
                meters[name] = OutputMeter(name, kind, (limits or {}).get(name))
        count = len(next(iter(expected.values())))
        part = None if truth is None else truth[position : position + count]
        position += count
        if truth is not None and position > len(truth):
            raise ValueError(f"{len(truth)} labels for more samples")
        for name, meter in meters.items():
            meter.add(expected[name], got[name], part)
    if not meters or (truth is not None and len(truth) != position):
        raise ValueError(
            f"{position} samples, labels for {position if truth is None else len(truth)}"
        )
    return tuple(meter.figures() for meter in meters.values())


def module_run(
    module: Callable[..., Sequence[torch.Tensor]], inputs: Sequence[str], outputs: Sequence[str]
) -> Run:
    """Return how to run a graph, or an emulation of one, on arrays by name."""

    def run(values: Tensors) -> Tensors:
        with torch.no_grad():
            results = module(*(torch.from_numpy(values[name]) for name in inputs))
        return {name: each.numpy() for name, each in zip(outputs, results, strict=True)}

    return run


def answers(fp32: Run, int8: Run, batches: Iterable[Tensors]) -> Iterable[tuple[Tensors, Tensors]]:
    """Yield what both answer to each batch."""
    for inputs in batches:
        yield fp32(inputs), int8(inputs)
