"""The stage's work grows with the network, not with its square: counted in lines, not seconds."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
import torch
from pass_checks import graph_of
from torch import fx, nn

import cnn_export.reparam
from cnn_export.benchmarks.studies.reparam.networks import Chain
from cnn_export.reparam import reparameterize_graph
from cnn_export.reparam.graph.attributes import register

ROOM = str(Path(cnn_export.reparam.__file__).parent)
LINEAR = 2.4
"""Limit of the work at twice the size; a square would be 4."""


def lines_run(job: Callable[[], object]) -> int:
    """Return how many lines of ``reparam/`` ran, every turn of a loop counted."""
    count = 0

    def local(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal count
        count += event == "line"
        return local

    def enter(frame: FrameType, event: str, argument: Any) -> Any:
        return local if frame.f_code.co_filename.startswith(ROOM) else None

    before = sys.gettrace()
    sys.settrace(enter)
    try:
        job()
    finally:
        sys.settrace(before)
    return count


class Views(nn.Module):
    """One storage under many views, and in-place operators beside them."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.count = count

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = x + 1
        for _ in range(self.count):
            y = y.transpose(2, 3)
            y = (y * 1.5).relu_()
        for _ in range(self.count):
            y = y.unsqueeze(0).squeeze(0)
        return y


class Branches(nn.Module):
    """Many convolutions that read and sum to one value."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3), nn.ReLU()) for _ in range(count)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.stack([branch(x) for branch in self.branches]).sum(0)


def _chain(size: int) -> nn.Module:
    torch.manual_seed(0)
    return Chain(size, channels=3)


@pytest.mark.parametrize("make", [_chain, Views, Branches], ids=["chain", "views", "branches"])
def test_twice_the_network_is_twice_the_work(make: Callable[[int], nn.Module]) -> None:
    image = torch.randn(1, 3, 5, 7)
    counts: list[int] = []
    for size in (14, 28):
        graph_module = graph_of(make(size), image)
        counts.append(lines_run(lambda graph=graph_module: reparameterize_graph(graph)))
    assert counts[0] > 1000
    assert counts[1] < LINEAR * counts[0]


def test_equal_hints_get_names_in_linear_time() -> None:
    def work(size: int) -> int:
        graph_module = fx.GraphModule(nn.Module(), fx.Graph())
        names: list[str] = []

        def fill() -> None:
            names.extend(register(graph_module, "same", torch.ones(1)) for _ in range(size))

        lines = lines_run(fill)
        assert names == ["same", *(f"same_{number}" for number in range(1, size))]
        return lines

    assert work(400) < LINEAR * work(200)


def test_the_measure_sees_a_square() -> None:
    def work(size: int) -> int:
        graph_module = fx.GraphModule(nn.Module(), fx.Graph())
        hints = [f"{number}" for number in range(size)]
        return lines_run(
            lambda: [register(graph_module, h, torch.ones(1)) for h in hints for _ in hints]
        )

    assert work(12) > LINEAR * work(6)
