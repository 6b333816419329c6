"""``--precision int8-dynamic``: ranges taken at every run, equal to the emulation bit for bit."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from cnn_export import export
from cnn_export.benchmarks.artifacts.proven_file import proven_files
from cnn_export.benchmarks.cost.reading import cost_of
from cnn_export.errors import AccuracyRefused, InputRefused, ParityError, UsageError
from cnn_export.job.int8.display import int8_summary
from cnn_export.job.request import Artifact
from cnn_export.targets import load_target
from cnn_export.targets.onnx import dynamic_layers

SHAPE = (3, 13, 18)


class Net(nn.Module):
    """Padding, groups, a sum, hard-swish, a mean, a classifier."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(2)
        self.stem = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.deep = nn.Conv2d(8, 8, (5, 3), padding=(2, 1), groups=8)
        self.point = nn.Conv2d(8, 12, 1, bias=False)
        self.head = nn.Linear(12, 7)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        x = F.relu6(self.stem(image))
        x = F.hardswish(self.deep(x)) + x
        return self.head(F.relu(self.point(x)).mean((2, 3)))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "images.npz"
    generator = np.random.default_rng(3)
    colours = generator.standard_normal((40, 3, 1, 1)) * 2
    np.savez(path, image=(colours + generator.standard_normal((40, *SHAPE))).astype(np.float32))
    return path


def exported(network: nn.Module, data: Path | str, folder: Path, **settings: Any) -> Artifact:
    given = {"input_size": SHAPE[1:], "precision": "int8-dynamic", "evaluation": data} | settings
    targets = given.pop("targets", "onnx")
    return export(network, targets, output=folder, **given).artifact


@pytest.fixture(scope="module")
def artifact(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    return exported(Net(), data, tmp_path_factory.mktemp("dynamic"))


def test_every_output_is_equal_to_the_emulation(artifact: Artifact) -> None:
    manifest = artifact.manifest
    assert {(f.limit, f.max_abs_error) for f in manifest.parity.figures} == {(0.0, 0.0)}
    assert "integer emulation of the checkpoint" in manifest.parity.reference
    record = manifest.quantization
    assert (record.int8_layers, record.int8_macs) == (4, manifest.macs)
    assert record.calibration is None
    assert any(each.bound is not None for each in record.accuracy)
    assert "4 layers in int8, 100.0%" in " ".join(int8_summary(manifest))


def test_the_file_holds_integer_operators_and_bytes(artifact: Artifact) -> None:
    kinds = Counter(node.op_type for node in onnx.load(artifact.path).graph.node)
    assert (kinds["ConvInteger"], kinds["MatMulInteger"], kinds["DynamicQuantizeLinear"]) == (
        3,
        1,
        4,
    )
    assert not kinds["Conv"] + kinds["Gemm"] + kinds["DequantizeLinear"]
    ((_, found),) = proven_files([artifact.path])
    assert found.metadata["precision"] == "int8-dynamic"
    cost = cost_of(found.graph, artifact.path)
    assert cost.int8_macs == cost.macs == artifact.manifest.macs


def test_ranges_follow_the_input(artifact: Artifact, data: Path) -> None:
    """A thousand times as bright, and still as near to float: nothing saturates."""
    session, network = load_target("onnx").load(artifact.path), Net().eval()
    for factor in (1.0, 1000.0):
        image = np.load(data)["image"][:1] * np.float32(factor)
        (answer,) = session({"image": image}).values()
        with torch.no_grad():
            exact = network(torch.from_numpy(image)).numpy()
        error = np.abs(answer - exact).max() / np.abs(exact).max()
        assert 0 < error < 0.05


def test_a_constant_image_has_no_range(artifact: Artifact) -> None:
    session = load_target("onnx").load(artifact.path)
    (answer,) = session({"image": np.zeros((1, *SHAPE), np.float32)}).values()
    with torch.no_grad():
        exact = Net().eval()(torch.zeros(1, *SHAPE)).numpy()
    assert np.abs(answer - exact).max() < 0.05 * np.abs(exact).max()


def test_a_wrong_scale_is_found(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Damaged(dynamic_layers._Writer):
        def _constant(self, name: str, value: np.ndarray) -> str:
            if name.endswith("_scales"):
                value = value.copy()
                value[0, 0] = np.nextafter(value[0, 0], np.float32(1))
            return super()._constant(name, value)

    monkeypatch.setattr(dynamic_layers, "_Writer", Damaged)
    with pytest.raises(ParityError, match="not what its integers give"):
        exported(Net(), data, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_network_that_it_ruins_is_refused(data: Path, tmp_path: Path) -> None:
    network = Net()
    with torch.no_grad():  # one channel's values take the range of all
        network.stem.weight[0], network.stem.bias[0] = 0, 6
        for each in (network.stem.weight[1:], network.stem.bias[1:]):
            each *= 1e-3
        for each in (network.point.weight[:, 0], network.deep.bias, network.head.bias):
            each *= 0
        network.head.weight *= 1e4
    with pytest.raises(AccuracyRefused, match="dynamic int8 is not accurate enough"):
        exported(network, data, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"targets": "tflite"}, "does not apply to tflite: its hybrid kernels"),
        ({"targets": ["onnx", "coreml"]}, "no operator that takes a range at run time"),
        ({"batch": "dynamic"}, "--batch 1"),
        ({"evaluation": None}, "--evaluation DIR"),
        ({"ranges": "mse"}, "--ranges applies to --precision int8"),
    ],
)
def test_what_cannot_be_proven_is_refused(
    settings: dict[str, Any], said: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=said):
        exported(Net(), "synthetic", tmp_path, **settings)


def test_a_layer_behind_a_float_sum_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputRefused, match=r"rounds what .* computes in floats.*--weights int8"):
        exported(Net(), "synthetic", tmp_path, keep_float=["stem"])
