"""``--bias-correction`` and ``--equalize``: asked for, done, recorded, and proven like any int8."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from cnn_export import export
from cnn_export.errors import UsageError
from cnn_export.job.int8.display import int8_summary
from cnn_export.job.request import ExportResult
from cnn_export.targets import load_target

SHAPE = (3, 10, 15)


class Net(nn.Module):
    """Positive weights that ranges cut: rounding shifts the means of its channels."""

    def __init__(self, spread: float = 1.0) -> None:
        super().__init__()
        torch.manual_seed(12)
        self.first, self.second = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 6, 1)
        self.third = nn.Conv2d(6, 6, 3, padding=1)
        with torch.no_grad():
            factors = spread ** torch.linspace(-1, 1, 8)
            self.first.weight.mul_(factors.reshape(-1, 1, 1, 1))
            self.first.bias.mul_(factors)
            self.second.weight.div_(factors.reshape(1, -1, 1, 1))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.third(self.second(self.first(image).relu()).relu())


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "images.npz"
    images = np.random.default_rng(21).standard_normal((48, *SHAPE)).astype(np.float32)
    np.savez(path, image=images)
    return path


def exported(network: nn.Module, data: Path | str, folder: Path, **settings: Any) -> ExportResult:
    given = {"input_size": SHAPE[1:], "precision": "int8", "calibration": data} | settings
    return export(network, "onnx", output=folder, **given)


def shift(result: ExportResult, network: nn.Module, images: np.ndarray) -> float:
    """Return by how much the means of output channels differ from float's, largest of all."""
    session = load_target("onnx").load(result.artifact.path)
    answers = [next(iter(session({"image": image[None]}).values())) for image in images]
    with torch.no_grad():
        exact = network(torch.from_numpy(images)).numpy()
    return float(np.abs((np.concatenate(answers) - exact).mean((0, 2, 3))).max())


def test_corrected_biases_keep_the_means(data: Path, tmp_path: Path) -> None:
    network, images = Net().eval(), np.load(data)["image"]
    # Ranges that cut a twentieth of the values shift every mean, which shows what is corrected.
    plain = exported(network, data, tmp_path / "plain", ranges="percentile:95")
    given = {"ranges": "percentile:95", "bias_correction": True}
    corrected = exported(network, data, tmp_path / "corrected", **given)
    before, after = (shift(each, network, images) for each in (plain, corrected))
    assert after < 0.5 * before
    manifest = corrected.artifact.manifest
    assert manifest.quantization.bias_correction is True
    assert "biases corrected" in " ".join(int8_summary(manifest))
    assert {each.max_abs_error for each in manifest.parity.figures} == {0.0}
    assert plain.artifact.manifest.quantization.bias_correction is None


def test_equalized_channels_are_the_same_network(data: Path, tmp_path: Path) -> None:
    network = Net(spread=12.0).eval()
    result = exported(network, data, tmp_path / "equalized", equalize=True)
    (done,) = (each for each in result.forms["onnx"].passes if each.name == "EqualizeLayers")
    assert done.rewrites
    assert result.forms["onnx"].proof is not None
    plain = exported(network, data, tmp_path / "plain")
    snr = [
        next(
            each.value
            for each in made.artifact.manifest.quantization.accuracy
            if each.figure == "SNR in dB"
        )
        for made in (plain, result)
    ]
    # The first map has one scale for channels that differ by a factor of 144.
    assert snr[1] > snr[0] + 3, snr


@pytest.mark.parametrize("option", ["bias_correction", "equalize"])
def test_weights_alone_have_neither(option: str, tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match=f"--{option.replace('_', '-')} applies to --precision int8"
    ):
        exported(Net(), "synthetic", tmp_path, **{"precision": "int8-weights", option: True})


def test_a_fixed_batch_has_no_means_over_all_samples(data: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="takes only its own batch"):
        exported(Net(), data, tmp_path, bias_correction=True, batch=2)
