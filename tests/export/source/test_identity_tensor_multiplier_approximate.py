"""``--identity-tensor-multiplier`` on known networks: refused, or approximated and measured."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from command_checks import USAGE, refusal
from networks import randomize_batch_norm
from torch import nn

from cnn_export import export
from cnn_export.__main__ import main
from cnn_export.errors import UsageError
from cnn_export.manifest.manifest import read_manifest
from cnn_export.models.families.mobilenext import mobilenext

SIZE = (26, 33)


class Residual(nn.Module):
    """Two ordinary shortcuts of 8 channels, the second written in place."""

    def __init__(self, kept: tuple[int, int] = (8, 8)) -> None:
        super().__init__()
        self.kept = kept
        self.stem = nn.Conv2d(3, 8, 3, stride=2)
        self.first = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8))
        self.second = nn.Sequential(nn.Conv2d(8, 8, 1), nn.ReLU(), nn.Conv2d(8, 8, 1))
        self.head = nn.Conv2d(8, 5, 1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.stem(image))
        if self.kept == (8, 8):
            x = torch.relu(x + self.first(x))
            y = self.second(x)
            y += x
            return self.head(y)
        for branch, kept in zip((self.first, self.second), self.kept, strict=True):
            y = branch(x)
            y = torch.cat([y[:, :kept] + x[:, :kept], y[:, kept:]], dim=1)
            x = torch.relu(y) if branch is self.first else y
        return self.head(x)


class Plain(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.conv(image))


def trained_like(network: nn.Module) -> nn.Module:
    torch.manual_seed(8)
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.4)
    randomize_batch_norm(network)
    return network.eval()


def run_onnx(path: Path, image: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(path)
    return session.run(None, {session.get_inputs()[0].name: image})[0]


@pytest.mark.parametrize("reparam", [True, False])
def test_the_artifact_is_the_shortened_network_and_the_drift_is_true(out: Path, reparam: bool):
    original = trained_like(Residual())
    shortened = Residual(kept=(4, 4)).eval()
    shortened.load_state_dict(original.state_dict())
    result = export(
        original,
        "onnx",
        output=out,
        input_size=SIZE,
        identity_tensor_multiplier="1/2",
        approximate=True,
        reparam=reparam,
    )
    image = torch.randn(1, 3, *SIZE)
    with torch.no_grad():
        np.testing.assert_allclose(
            run_onnx(result.artifact.path, image.numpy()), shortened(image), rtol=1e-4, atol=1e-4
        )
        normal = torch.from_numpy(
            np.random.default_rng(20210711).standard_normal((1, 3, *SIZE)).astype(np.float32)
        ).double()
        exact, moved = original.double()(normal), shortened.double()(normal)
    found = result.approximation
    assert found is not None
    assert (found.identity_tensor_multiplier, found.trained_with) == ("1/2", "1")
    assert len(found.shortcuts) == 2
    (drift,) = [each for each in found.drift if each.probe == "normal"]
    assert drift.max_abs_error == pytest.approx(float((exact - moved).abs().max()), rel=1e-9)
    rms = float(exact.square().mean().sqrt())
    assert drift.rms == pytest.approx(rms, rel=1e-9)
    assert drift.relative_error == pytest.approx(drift.max_abs_error / rms, rel=1e-9)
    assert drift.relative_error > 0.01
    assert {each.probe for each in found.drift} == {"normal", "constant", "large", "uniform"}


def test_manifest_note_and_artifact_say_so(out: Path):
    result = export(
        trained_like(Residual()),
        "onnx",
        output=out,
        input_size=SIZE,
        identity_tensor_multiplier=Fraction(1, 4),
        approximate=True,
    )
    manifest = read_manifest(result.artifact.manifest_path)
    assert manifest.approximation == result.approximation
    assert manifest.parity.reference == "the approximated checkpoint in torch float64"
    assert all(figure.relative_error <= figure.limit for figure in manifest.parity.figures)
    (note,) = [note for note in result.notes if note.startswith("NOT the checkpoint's function")]
    assert "identity tensor multiplier 1 → 1/4 at 2 shortcuts" in note
    session = onnxruntime.InferenceSession(result.artifact.path)
    inside = session.get_modelmeta().custom_metadata_map
    assert inside["approximation"] == "identity_tensor_multiplier=1/4"


def test_an_ordinary_export_records_no_approximation(out: Path):
    result = export(
        trained_like(Residual()), "onnx", output=out, input_size=SIZE, identity_tensor_multiplier=1
    )
    assert result.approximation is None
    assert read_manifest(result.artifact.manifest_path).approximation is None


@pytest.mark.parametrize(("trained", "wanted"), [("1", "1/6"), ("1/2", "1")])
def test_a_mobilenext_gets_another_multiplier(trained: str, wanted: str, out: Path):
    torch.manual_seed(2)
    original = mobilenext(0.1, 6, identity_tensor_multiplier=trained)
    randomize_batch_norm(original)
    expected = mobilenext(0.1, 6, identity_tensor_multiplier=wanted).eval()
    expected.load_state_dict(original.state_dict())
    result = export(
        original,
        "onnx",
        output=out,
        input_size=SIZE,
        identity_tensor_multiplier=wanted,
        approximate=True,
    )
    image = torch.randn(1, 3, *SIZE)
    with torch.no_grad():
        torch.testing.assert_close(
            torch.from_numpy(run_onnx(result.artifact.path, image.numpy())),
            expected(image),
            rtol=1e-4,
            atol=1e-5,
        )
    assert result.approximation is not None
    assert result.approximation.trained_with == trained
    assert len(result.approximation.shortcuts) == 12


def test_dry_run_measures_and_writes_nothing(small_net_checkpoint: Path, out: Path, capfd):
    arguments = ["--model", f"{__name__}:Residual", "--input-size", "26x33", "-o", str(out)]
    option = ["--identity-tensor-multiplier", "1/2", "--approximate", "--dry-run", "--json"]
    assert main([str(small_net_checkpoint), "--target", "onnx", *arguments, *option]) == 0
    document = json.loads(capfd.readouterr().out)
    assert document["approximation"]["identity_tensor_multiplier"] == "1/2"
    assert len(document["approximation"]["drift"]) == 4
    assert list(out.iterdir()) == []


@pytest.fixture
def small_net_checkpoint(tmp_path: Path) -> Path:
    path = tmp_path / "residual.pt"
    torch.save(trained_like(Residual()).state_dict(), path)
    return path


def test_another_multiplier_without_approximate_is_one_line(small_net_checkpoint: Path, capfd):
    line = refusal(
        capfd,
        USAGE,
        *(small_net_checkpoint, "--target", "onnx", "--model", f"{__name__}:Residual"),
        *("--input-size", "26x33", "--identity-tensor-multiplier", "1/2"),
    )
    assert "1/2 makes another function of this network, trained with 1" in line
    assert "--approximate" in line


def refused(network: nn.Module, match: str, **settings: object) -> None:
    with pytest.raises(UsageError, match=match):
        export(network, "onnx", input_size=SIZE, dry_run=True, **settings)  # pyright: ignore[reportArgumentType]


def test_the_same_multiplier_has_nothing_to_approximate():
    refused(
        mobilenext(0.1, 3, identity_tensor_multiplier="1/3"),
        "nothing to approximate: the network's identity tensor multiplier is 1/3",
        identity_tensor_multiplier=0.333,
        approximate=True,
    )


def test_a_network_s_own_multiplier_may_be_repeated_but_not_contradicted():
    half = Residual(kept=(4, 4))
    half.identity_tensor_multiplier = 0.5  # pyright: ignore[reportAttributeAccessIssue]
    result = export(half, "onnx", input_size=SIZE, dry_run=True, identity_tensor_multiplier="1/2")
    assert result.approximation is None
    refused(half, "trained with 1/2", identity_tensor_multiplier=1)


def test_a_network_without_shortcuts_is_refused():
    refused(Plain(), "finds no shortcut", identity_tensor_multiplier="1/2", approximate=True)


def test_a_multiplier_that_keeps_no_channel_is_one_line(small_net_checkpoint: Path, capfd):
    options = ["--input-size", "26x33", "--identity-tensor-multiplier", "1/9", "--approximate"]
    network = ["--model", f"{__name__}:Residual"]
    line = refusal(capfd, USAGE, small_net_checkpoint, "--target", "onnx", *network, *options)
    assert "--identity-tensor-multiplier 1/9: " in line
    assert "keeps none of 8 channels at add" in line


def test_approximate_alone_is_refused():
    refused(Plain(), "--approximate needs --identity-tensor-multiplier", approximate=True)


def test_no_unit_fraction_is_refused():
    refused(Plain(), "'3/4' is not 1 or 1/n", identity_tensor_multiplier="3/4")


def test_a_network_that_says_nonsense_about_itself_is_refused():
    network = Plain()
    network.identity_tensor_multiplier = 0.4  # pyright: ignore[reportAttributeAccessIssue]
    refused(network, "Plain cannot be given", identity_tensor_multiplier="1/2")
