"""What is asked of a source is read while it is loaded, and by nothing after that."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from cnn_export.job import pipeline
from cnn_export.job.request import ExportRequest
from cnn_export.program.normalization import parse_normalization
from cnn_export.source.load import load
from cnn_export.source.request import SourceRequest
from cnn_export.source.source_model import SourceModel
from cnn_export.targets.options import TargetOptions

_FIELDS = {field.name for field in dataclasses.fields(SourceRequest)}


class _ReadTooLateError(AssertionError):
    pass


class _Sealable(SourceRequest):
    """Raises when a field is read after :func:`_seal`."""

    def __getattribute__(self, name: str) -> Any:
        if name in _FIELDS and object.__getattribute__(self, "__dict__").get("sealed"):
            raise _ReadTooLateError(name)
        return object.__getattribute__(self, name)


def _seal(request: SourceRequest) -> None:
    object.__setattr__(request, "sealed", True)


class _Shortcut(nn.Module):
    """x + f(x) on an image, as a partial shortcut needs it."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        x = self.first(image)
        return (x + self.second(x)).mean((2, 3))


def _run(
    request: SourceRequest,
    monkeypatch: pytest.MonkeyPatch,
    folder: Path,
    after: Callable[[SourceRequest], object] = _seal,
    **job: Any,
) -> tuple[int, tuple[str, ...]]:
    def load_and_seal(given: SourceRequest) -> SourceModel:
        assert given is request
        model = load(given)
        after(given)
        return model

    monkeypatch.setattr(pipeline, "load", load_and_seal)
    result = pipeline.run(ExportRequest(request, ("onnx",), folder / "out", **job))
    return len(result.artifacts), result.notes


def test_nothing_after_loading_reads_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything that used to be read late at once: size, normalization, samples, multiplier."""
    torch.manual_seed(0)
    np.save(tmp_path / "sample.npy", np.full((1, 3, 7, 9), 200, dtype=np.float32))
    request = _Sealable(
        network=_Shortcut(),
        shapes={"image": (1, 3, 7, 9)},
        normalize=parse_normalization("imagenet"),
        identity_tensor_multiplier=Fraction(1, 2),
        approximate=True,
    )
    options = TargetOptions(precision="fp16")
    samples = (tmp_path / "sample.npy",)
    made, notes = _run(request, monkeypatch, tmp_path, samples=samples, options=options)
    assert made == 1
    assert any("1 → 1/2" in note for note in notes)


def test_nor_of_a_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.save(nn.Conv2d(3, 4, 3).state_dict(), tmp_path / "conv.pt")
    request = _Sealable(
        network=tmp_path / "conv.pt",
        model="torch.nn:Conv2d",
        model_args={"in_channels": "3", "out_channels": "4", "kernel_size": "3"},
        input_size=(8, 6),
        batch=None,
    )
    assert _run(request, monkeypatch, tmp_path)[0] == 1


def test_a_late_reader_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    request = _Sealable(network=_Shortcut(), input_size=(8, 8))
    with pytest.raises(_ReadTooLateError, match="batch"):
        _run(request, monkeypatch, tmp_path, after=lambda r: (_seal(r), r.batch))
