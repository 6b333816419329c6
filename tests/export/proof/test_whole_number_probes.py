"""Whole numbers in the manifest's probe: equal, and with no say in how near scores must be."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from networks import seeded
from torch import nn

import cnn_export
from cnn_export.job import pipeline
from cnn_export.proof.parity import Reference
from cnn_export.proof.tolerances import FLOAT32_BASE


class Classes(nn.Module):
    """Scores, and their classes as ``kind`` numbers."""

    def __init__(self, kind: torch.dtype, *, scores: bool) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6))
        self.kind, self.scores = kind, scores

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...] | torch.Tensor:
        y = self.body(x)
        classes = y.argmax(1).to(self.kind)
        return (y, classes) if self.scores else classes


@pytest.fixture
def near_ties(monkeypatch: pytest.MonkeyPatch) -> None:
    """Torch's own float32 takes another class somewhere."""
    real: Callable[..., list[Reference]] = pipeline.references

    def with_a_floor(module, probes, outputs) -> list[Reference]:
        found = real(module, probes, outputs)
        last = outputs[-1].name
        return [
            dataclasses.replace(each, float32_floor=each.float32_floor | {last: 0.4})
            for each in found
        ]

    monkeypatch.setattr(pipeline, "references", with_a_floor)


@pytest.mark.parametrize("scores", [True, False])
@pytest.mark.parametrize("kind", [torch.int64, torch.float32])
def test_near_ties_neither_refuse_nor_widen(
    kind: torch.dtype, scores: bool, near_ties: None, tmp_path: Path
) -> None:
    module = seeded(Classes(kind, scores=scores))
    done = cnn_export.export(module, "onnx", output=tmp_path, shapes={"x": (1, 3, 7, 10)})
    manifest = done.artifacts[0].manifest
    assert manifest.whole_outputs == {manifest.outputs[-1].name}
    assert manifest.probe.tolerance == FLOAT32_BASE
