"""The Python interface refuses what it cannot honour."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import networks
import pytest
import torch
from refused_twice import refused
from torch import nn

from cnn_export import export
from cnn_export.errors import InputRefused, UsageError

IMAGE = torch.randn(1, 3, 13, 18)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"precison": "fp16"}, "no setting 'precison'. Did you mean 'precision'"),
        ({"precision": "fp8"}, "precision 'fp8' does not exist"),
        ({"layout": "nwhc"}, "layout 'nwhc' does not exist"),
        ({"example_inputs": (IMAGE,), "input_size": 32}, "exclude one another"),
        ({"example_inputs": (IMAGE,), "shapes": {"image": (1, 3, 8, 8)}}, "exclude one another"),
        ({"model": "skipnet"}, "are for checkpoint files"),
        ({"batch": 0}, "not a positive number"),
        ({}, "does not say what input it takes"),
    ],
)
def test_refused(settings: dict[str, Any], message: str, out: Path) -> None:
    error = refused(networks.small_net(), "onnx", out, **settings)
    assert isinstance(error, UsageError)
    assert message in str(error)


class WantsFourBytes(nn.Module):
    """Does not run in float64."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        if image.element_size() != torch.float32.itemsize:
            raise TypeError("give 32-bit floats")
        return image * 2


class Keeping(nn.Module):
    """Keeps a result of autograd, which torch does not copy."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.kept = self.conv.weight * 2

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.conv(image)


class NamesFloat32(nn.Module):
    """Makes a float32 tensor of its own, and is run in float64 all the same."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return nn.functional.conv2d(self.conv(image), torch.ones(2, 4, 1, 1))


@pytest.mark.parametrize(
    ("module", "dtype"),
    [(WantsFourBytes(), "float32"), (Keeping(), "float64"), (NamesFloat32(), "float64")],
)
def test_the_manifest_says_what_the_reference_ran_in(
    module: nn.Module, dtype: str, out: Path
) -> None:
    manifest = export(module, "onnx", output=out, example_inputs=(IMAGE,)).artifact.manifest
    assert manifest.parity.reference == f"the checkpoint in torch {dtype}"


class Failing(nn.Module):
    """Runs on its example and fails on larger values."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        if not torch.compiler.is_compiling() and image.abs().max() > 50:
            raise KeyError("too bright")
        return image * 2


def test_a_network_that_fails_on_a_probe_is_refused(out: Path) -> None:
    error = refused(Failing(), "onnx", out, example_inputs=(torch.ones(1, 3, 13, 18),))
    assert isinstance(error, InputRefused)
    assert "fails on a probe: KeyError" in str(error)
