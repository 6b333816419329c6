"""The probe as a runner without torch sees it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from affine_artifact import OFFSET, SCALE, independent_uniform, manifest_of

from cnn_export.benchmarks.runtimes.probe import probe_inputs, require_probe_outputs
from cnn_export.errors import InputRefused, ParityError
from cnn_export.manifest.manifest import Manifest
from cnn_export.program.tensors import TensorSpec
from cnn_export.proof.probes import PROBE_SEED, manifest_probe
from cnn_export.proof.splitmix64 import splitmix64


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    path = tmp_path / "affine.onnx"
    path.write_bytes(b"any")
    return manifest_of(path, "onnx")


def _affine(manifest: Manifest) -> dict[str, Any]:
    x = np.array(independent_uniform(77, 30)).reshape(1, 2, 3, 5)
    return {"y": (SCALE * x + OFFSET).astype(np.float32)}


def test_splitmix64_gives_the_published_stream() -> None:
    """First outputs for seed 1234567 of the reference implementation."""
    assert splitmix64(1234567, 3).tolist() == [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
    ]


def test_inputs_follow_plain_integer_arithmetic(manifest: Manifest) -> None:
    made = probe_inputs(manifest)["x"]
    assert made.dtype == np.float32
    assert made.ravel().tolist() == independent_uniform(77, 30)


def test_inputs_equal_the_exporters(tmp_path: Path) -> None:
    """Both writers of the probe must agree, integers, layouts and a dynamic batch included."""
    path = tmp_path / "a.tflite"
    path.write_bytes(b"any")
    inputs = [
        {"name": "image", "shape": [-1, 5, 7, 3], "dtype": "float32", "layout": "nhwc"},
        {"name": "index", "shape": [-1, 9], "dtype": "int64"},
    ]
    probe = manifest_of(path, "tflite").probe.model_dump() | {"seed": PROBE_SEED, "batch": 2}
    made = probe_inputs(manifest_of(path, "tflite", inputs=inputs, probe=probe))
    specs = (
        TensorSpec("image", (-1, 3, 5, 7), torch.float32),
        TensorSpec("index", (-1, 9), torch.int64),
    )
    expected = manifest_probe(specs, batch=2).inputs
    np.testing.assert_array_equal(made["image"], expected["image"].transpose(0, 2, 3, 1))
    np.testing.assert_array_equal(made["index"], expected["index"])
    assert made["index"].dtype == np.int64
    assert set(made["index"].ravel().tolist()) == {0, 1}


def test_right_outputs_pass(manifest: Manifest) -> None:
    assert require_probe_outputs(manifest, _affine(manifest)) is None
    near = {"y": _affine(manifest)["y"] * np.float32(1 + 2e-6)}
    assert require_probe_outputs(manifest, near) is None


def _leading(y: Any) -> Any:
    y.ravel()[3] += 1e-3
    return y


def _trailing(y: Any) -> Any:
    # Beyond the recorded values: only the RMS can tell.
    y.ravel()[20] *= 1.5
    return y


def _not_a_number(y: Any) -> Any:
    y.ravel()[2] = np.nan
    return y


@pytest.mark.parametrize("spoil", [_leading, _trailing, _not_a_number])
def test_wrong_values_are_refused(manifest: Manifest, spoil: Any) -> None:
    with pytest.raises(ParityError, match=r"'y' is off by .* \(limit 1e-05\)"):
        require_probe_outputs(manifest, {"y": spoil(_affine(manifest)["y"])})


def test_wrong_shape_is_refused(manifest: Manifest) -> None:
    y = _affine(manifest)["y"].reshape(1, 2, 5, 3)
    with pytest.raises(ParityError, match="has shape"):
        require_probe_outputs(manifest, {"y": y})


@pytest.mark.parametrize("names", [[], ["y", "z"], ["z"]])
def test_wrong_names_are_refused(manifest: Manifest, names: list[str]) -> None:
    y = _affine(manifest)["y"]
    with pytest.raises(ParityError, match="has outputs"):
        require_probe_outputs(manifest, dict.fromkeys(names, y))


@pytest.mark.parametrize("shape", [[2, 2**14, 2**14], [-1, 2**28]])
def test_a_probe_beyond_memory_is_refused(shape: list[int], tmp_path: Path) -> None:
    path = tmp_path / "a.onnx"
    path.write_bytes(b"any")
    inputs = [{"name": "image", "shape": shape, "dtype": "int8"}]
    probe = manifest_of(path, "onnx").probe.model_dump() | {"batch": 2}
    manifest = manifest_of(path, "onnx", inputs=inputs, probe=probe)
    with pytest.raises(InputRefused, match="'image' of shape"):
        probe_inputs(manifest)


@pytest.mark.parametrize("dtype", ["int64", "float32"])
def test_whole_numbers_must_be_equal(tmp_path: Path, dtype: str) -> None:
    """In float16 the next class is within the tolerance: 281 for 280 is 0.0036 of the RMS."""
    path = tmp_path / "a.onnx"
    path.write_bytes(b"any")
    figure = {"probe": "uniform", "max_abs_error": 0.0, "relative_error": 0.0, "rms": 280.0}
    parity = {"runtime": "r", "reference": "f", "tolerance_reason": "t"}
    probe = manifest_of(path, "onnx").probe.model_dump()
    output = {"name": "y", "shape": [1], "values": [280.0], "rms": 280.0}
    manifest = manifest_of(
        path,
        "onnx",
        precision="fp16",
        outputs=[{"name": "y", "shape": [1], "dtype": dtype}],
        parity=parity | {"figures": [figure | {"output": "y", "limit": 0.0}]},
        probe=probe | {"outputs": [output], "tolerance": 5e-3},
    )
    require_probe_outputs(manifest, {"y": np.array([280], dtype)})
    with pytest.raises(ParityError, match=r"off by 0\.0036"):
        require_probe_outputs(manifest, {"y": np.array([281], dtype)})
