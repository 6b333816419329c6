"""The runtimes of this host on one exported network, against torch in float64."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from cnn_export import export
from cnn_export.benchmarks.runtimes.probe import probe_inputs
from cnn_export.benchmarks.runtimes.runtime_registry import runtime_of
from cnn_export.manifest.manifest import manifest_path, read_manifest


class _TwoHeads(nn.Module):
    """Two outputs from a non-square image; batch norm far from identity."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 5, 3, stride=2, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(5)
        self.head = nn.Linear(5, 4)
        generator = torch.Generator().manual_seed(3)
        for tensor in (self.norm.weight, self.norm.bias, self.norm.running_mean):
            tensor.data.copy_(torch.randn(5, generator=generator))
        self.norm.running_var.data.copy_(torch.rand(5, generator=generator) + 0.5)

    def forward(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
        maps = torch.relu(self.norm(self.conv(image)))
        return {"maps": maps, "scores": self.head(maps.mean((2, 3)))}


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same network in the three formats that run on this host."""
    folder = tmp_path_factory.mktemp("exported")
    torch.manual_seed(5)
    result = export(
        _TwoHeads(),
        ["onnx", "tflite", "executorch"],
        output=folder,
        shapes={"image": (1, 3, 9, 14)},
    )
    return {artifact.manifest.target: artifact.path for artifact in result.artifacts}


@pytest.mark.parametrize("target", ["onnx", "tflite", "executorch"])
def test_each_runtime_computes_what_torch_computes(exported: dict[str, Path], target: str) -> None:
    path = exported[target]
    manifest = read_manifest(manifest_path(path))
    inputs = probe_inputs(manifest)
    names = [output.name for output in manifest.outputs]
    model = runtime_of(path).load(path, inputs, names, 1)
    model.infer()
    actual = model.outputs()
    torch.manual_seed(5)
    with torch.no_grad():
        expected = _TwoHeads().eval().double()(torch.from_numpy(inputs["image"]).double())
    assert sorted(actual) == ["maps", "scores"]
    for name, value in expected.items():
        np.testing.assert_allclose(actual[name], value.numpy(), rtol=0, atol=1e-5)
