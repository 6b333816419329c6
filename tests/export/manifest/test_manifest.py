"""Manifests: the text reads back, anything else is refused, and torch is not needed for it."""

from __future__ import annotations

import hashlib
import json
import math
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cnn_export.errors import InputRefused
from cnn_export.manifest.manifest import Manifest, manifest_path, read_manifest
from cnn_export.untrusted.artifact_digest import artifact_digest

SHA = "0f" * 32
VALUES, RMS = [0.1, -1e-30], math.sqrt(0.005)


def document() -> dict[str, Any]:
    """A manifest as a program in another language would write it."""
    tensor = {"name": "image", "shape": [-1, 3, 13, 18], "dtype": "float32", "layout": "nchw",
              "normalization_inside": None}  # fmt: skip
    return {
        "schema_version": 1,
        "producer": "cnn-export 0.1.0",
        "artifact": "net.onnx",
        "artifact_sha256": SHA,
        "artifact_bytes": 1234,
        "target": "onnx",
        "precision": "fp32",
        "source": {
            "file": "net.pt",
            "sha256": None,
            "model": "mobilenet_v2",
            "arguments": {"width_mult": "0.5"},
            "container": "state_dict",
        },
        "versions": {"torch": "2.13.0"},
        "inputs": [{**tensor, "normalization": {"mean": [0.4, 0.5, 0.6], "std": [0.2, 0.2, 0.3]}}],
        "outputs": [
            {**tensor, "name": "map", "shape": [-1, 2], "layout": None, "normalization": None}
        ],
        "passes": [{"name": "FoldAffineIntoProducer", "rewrites": 3, "refusals": ["conv: shared"]}],
        "macs": 10**12,
        "parameter_bytes": 5,
        "partitions": {
            "delegate": "CPUExecutionProvider",
            "partitions": 1,
            "delegated_ops": 7,
            "outside": [{"op": "RESHAPE", "count": 1, "reason": "dynamic"}],
        },
        "parity": {
            "runtime": "onnxruntime",
            "reference": "the checkpoint in torch float64",
            "tolerance_reason": "float32 rounding",
            "figures": [
                {
                    "probe": "normal",
                    "output": "map",
                    "max_abs_error": 1e-7,
                    "relative_error": 4e-7,
                    "rms": 0.25,
                    "limit": 1e-5,
                }
            ],
        },
        "probe": {
            "generator": "splitmix64-top24",
            "kind": "unit",
            "seed": 20210711,
            "batch": 1,
            "outputs": [{"name": "map", "shape": [1, 2], "values": VALUES, "rms": RMS}],
            "tolerance": 1e-5,
        },
    }


def written(tmp_path: Path, content: dict[str, Any]) -> Path:
    path = tmp_path / "net.onnx.manifest.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def refusal(path: Path) -> str:
    with pytest.raises(InputRefused) as caught:
        read_manifest(path)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    return message


def test_reading_keeps_everything(tmp_path: Path) -> None:
    manifest = read_manifest(written(tmp_path, document()))
    assert manifest.model_dump(mode="json") == document()
    assert manifest.probe.outputs[0].values == VALUES


def test_text_reads_back(tmp_path: Path) -> None:
    manifest = Manifest.model_validate(document())
    path = tmp_path / "net.onnx.manifest.json"
    path.write_text(manifest.to_json(), encoding="utf-8")
    assert json.loads(manifest.to_json()) == document()
    assert read_manifest(path) == manifest
    assert manifest.to_json().endswith("}\n")


def _set(*keys: str | int) -> Callable[[dict[str, Any], object], None]:
    def change(content: dict[str, Any], value: object) -> None:
        holder: Any = content
        for key in keys[:-1]:
            holder = holder[key]
        holder[keys[-1]] = value

    return change


@pytest.mark.parametrize(
    ("keys", "value", "field"),
    [
        (("surplus",), 1, "surplus"),
        (("source", "path"), "/home/me", "source.path"),
        (("schema_version",), 2, "schema_version"),
        (("artifact_sha256",), SHA[:-1], "artifact_sha256"),
        (("artifact_sha256",), SHA.upper(), "artifact_sha256"),
        (("source", "sha256"), "none", "source.sha256"),
        (("parity", "figures", 0, "rms"), float("nan"), "parity.figures.0.rms"),
        (("probe", "tolerance"), float("inf"), "probe.tolerance"),
        (("probe", "generator"), "mt19937", "probe.generator"),
        (("precision",), "int7", "precision"),
        (("macs",), "many", "macs"),
        (("inputs", 0, "layout"), "chwn", "inputs.0.layout"),
        (("inputs", 0, "shape"), [1, 3, 0, 5], "inputs.0.shape.2"),
        (("inputs", 0, "shape"), [-2, 3], "inputs.0.shape.0"),
        (("inputs", 0, "shape"), [2**31 + 1], "inputs.0.shape.0"),
        (("outputs", 0, "shape"), [1] * 9, "outputs.0.shape"),
        (("outputs", 0, "dtype"), "object", "outputs.0.dtype"),
        (("inputs", 0, "dtype"), "S1000000000", "inputs.0.dtype"),
        (("inputs",), [document()["inputs"][0]] * 257, "inputs"),
        (("outputs",), [document()["outputs"][0]] * 257, "outputs"),
        (("probe", "outputs", 0, "shape"), [0], "probe.outputs.0.shape.0"),
        (("probe", "batch"), 0, "probe.batch"),
        (("probe", "batch"), 4097, "probe.batch"),
        (("probe", "seed"), -1, "probe.seed"),
        (("probe", "seed"), 2**64, "probe.seed"),
    ],
)
def test_a_wrong_field_is_named(
    keys: tuple[str | int, ...], value: object, field: str, tmp_path: Path
) -> None:
    content = document()
    _set(*keys)(content, value)
    assert f"{field}: " in refusal(written(tmp_path, content))


@pytest.mark.parametrize("field", sorted(document().keys() - {"schema_version"}))
def test_a_missing_field_is_named(field: str, tmp_path: Path) -> None:
    content = document()
    del content[field]
    assert f"{field}: Field required" in refusal(written(tmp_path, content))


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"\xff\xfe{}", b"{}" * 3])
def test_no_document(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "net.onnx.manifest.json"
    path.write_bytes(content)
    assert "not a valid manifest" in refusal(path)


def test_missing_file_and_folder(tmp_path: Path) -> None:
    assert "does not exist" in refusal(tmp_path / "none.manifest.json")
    assert "is a folder" in refusal(tmp_path)


def test_an_oversized_file_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "weights.bin"
    with path.open("wb") as file:
        file.truncate(2**33)
    assert "more than 4,194,304 bytes" in refusal(path)


def test_reading_needs_no_torch(tmp_path: Path) -> None:
    path = written(tmp_path, document())
    program = (
        "import sys; from pathlib import Path; "
        "from cnn_export.manifest.manifest import read_manifest; "
        "read_manifest(Path(sys.argv[1])); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program, str(path)]).returncode == 0


def test_the_manifest_lies_beside_its_artifact() -> None:
    assert manifest_path(Path("a/net.tflite")) == Path("a/net.tflite.manifest.json")
    assert manifest_path(Path("b/net.mlpackage")) == Path("b/net.mlpackage.manifest.json")


def test_digest_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(b"abc")
    assert artifact_digest(path) == (hashlib.sha256(b"abc").hexdigest(), 3)


def test_digest_of_a_folder_covers_names_and_borders(tmp_path: Path) -> None:
    def digest(**files: bytes) -> tuple[str, int]:
        folder = tmp_path / f"package-{len(list(tmp_path.iterdir()))}"
        (folder / "Data").mkdir(parents=True)
        for name, content in files.items():
            (folder / name.replace("__", "/")).write_bytes(content)
        return artifact_digest(folder)

    content = b"b\x003\x00xyza\x002\x00no"
    expected = hashlib.sha256(b"Data/a\x002\x00no" + b"b\x003\x00xyz").hexdigest()
    assert digest(b=b"xyz", Data__a=b"no") == (expected, 5)
    different = [
        digest(b=b"xyz", Data__a=b"no"),
        digest(b=b"xyz", a=b"no"),
        digest(b=b"xyzn", Data__a=b"o"),
        digest(b=b"no", Data__a=b"xyz"),
        digest(b=content),
    ]
    assert len({sha for sha, _ in different}) == len(different)


def test_the_bounds_themselves_are_allowed(tmp_path: Path) -> None:
    content = document()
    content["inputs"][0]["shape"] = [-1, 1, 2**31, 1]
    content["outputs"][0]["shape"] = [-1, *[1] * 6, 2]
    content["probe"]["outputs"][0]["shape"] = [4096, *[1] * 6, 2]
    content["probe"]["outputs"][0].update(values=[0.5] * 16, rms=0.5)
    content["probe"].update(seed=2**64 - 1, batch=4096)
    assert read_manifest(written(tmp_path, content)).model_dump(mode="json") == content


@pytest.mark.parametrize("shape", [[], [1, 3, 5], [1, 3, 5, 7, 9]])
def test_channels_last_needs_an_image(shape: list[int], tmp_path: Path) -> None:
    content = document()
    content["inputs"][0].update(shape=shape, layout="nhwc")
    assert "inputs.0: " in refusal(written(tmp_path, content))


@pytest.mark.parametrize("folder", [False, True])
def test_digest_streams(folder: bool, tmp_path: Path) -> None:
    path, size_bytes = tmp_path / "Data" / "weights.bin", 32 * 2**20
    path.parent.mkdir()
    path.write_bytes(bytes(size_bytes))
    tracemalloc.start()
    _, total = artifact_digest(path.parent if folder else path)
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert total == size_bytes
    assert peak_bytes < 2**21
