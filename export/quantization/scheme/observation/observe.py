"""Run a graph over calibration data and keep statistics of every tensor."""

from __future__ import annotations

import abc
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import fx

from cnn_export.errors import InputRefused, one_line
from cnn_export.quantization.scheme.observation.statistics import (
    BINS,
    Statistics,
    TensorStatistics,
)
from cnn_export.quantization.scheme.placement.operators import is_float32

Batches = Callable[[], Iterable[Sequence[torch.Tensor]]]
"""Yields the same batches, inputs in the graph's order, every time it is called."""

_EXACT_COUNTS = 2**24
"""``histc`` counts in float32, which holds whole numbers up to here."""


def observe(graph_module: fx.GraphModule, batches: Batches) -> Statistics:
    """Run all batches twice: for the ends of every tensor, then for histograms between them.

    Memory does not grow with the number of batches.

    Raises:
        InputRefused: there is no batch, or a tensor holds NaN or infinity; says which and where.
    """
    ends = _Ends(graph_module)
    samples = _run(ends, batches)
    if not samples:
        raise InputRefused("there is no calibration data: nothing tells the ranges of activations")
    histograms = _Histograms(graph_module, ends.ends)
    if _run(histograms, batches) != samples:
        raise InputRefused("the calibration data changed between two passes over it")
    return Statistics(
        {
            name: TensorStatistics(*ends.ends[name], counts)
            for name, counts in histograms.counts.items()
        },
        samples,
    )


def _run(recorder: fx.Interpreter, batches: Batches) -> int:
    samples = 0
    with torch.no_grad():
        for inputs in batches():
            recorder.run(*inputs)
            samples += len(inputs[0])
    return samples


class _Recorder(fx.Interpreter, abc.ABC):
    """Shows the value of every float32 tensor that is no weight."""

    def __init__(self, graph_module: fx.GraphModule) -> None:
        super().__init__(graph_module)
        nodes = graph_module.graph.nodes
        self._seen = {node for node in nodes if node.op != "get_attr" and is_float32(node)}
        self._batch = -1

    def run(self, *args: Any, **kwargs: Any) -> Any:
        self._batch += 1
        try:
            return super().run(*args, **kwargs)
        except (IndexError, RuntimeError) as error:  # an index outside of a table, say
            raise InputRefused(
                f"the network fails on calibration batch {self._batch + 1}: {one_line(error, 120)};"
                " look at that data"
            ) from error

    def run_node(self, n: fx.Node) -> Any:
        value = super().run_node(n)
        if n in self._seen:
            self.record(n.name, value)
        return value

    @abc.abstractmethod
    def record(self, name: str, value: torch.Tensor) -> None:
        """Take one tensor's value on one batch."""


class _Ends(_Recorder):
    """The smallest and the largest value of each tensor."""

    def __init__(self, graph_module: fx.GraphModule) -> None:
        super().__init__(graph_module)
        self.ends: dict[str, tuple[float, float]] = {}

    def record(self, name: str, value: torch.Tensor) -> None:
        if not value.numel():
            return
        low, high = (float(end) for end in torch.aminmax(value))
        if not (math.isfinite(low) and math.isfinite(high)):
            raise InputRefused(
                f"{name} holds NaN or infinity on calibration batch {self._batch + 1}: int8 has "
                "neither; look at that data, or at the checkpoint"
            )
        before = self.ends.get(name, (low, high))
        self.ends[name] = (min(low, before[0]), max(high, before[1]))


class _Histograms(_Recorder):
    """How often each tensor's values lay in each bin between its ends."""

    def __init__(self, graph_module: fx.GraphModule, ends: dict[str, tuple[float, float]]) -> None:
        super().__init__(graph_module)
        self._ends = ends
        self.counts = {name: torch.zeros(BINS, dtype=torch.int64) for name in ends}

    def record(self, name: str, value: torch.Tensor) -> None:
        if name not in self._ends:
            return
        low, high = self._ends[name]
        counts = self.counts[name]
        if low == high:
            counts[0] += value.numel()
            return
        for part in value.flatten().split(_EXACT_COUNTS - 1):
            counts += torch.histc(part, BINS, low, high).to(torch.int64)
