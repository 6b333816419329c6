"""A network small enough to know by heart: ``y = SCALE · x + OFFSET``."""

from __future__ import annotations

import hashlib
import struct
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from cnn_export.manifest.manifest import Manifest, manifest_path

SCALE = 3.0
PROVEN = {
    "probe": "uniform",
    "max_abs_error": 1e-6,
    "relative_error": 5e-7,
    "rms": 2.0,
    "limit": 1e-5,
}
OFFSET = 0.5


def independent_uniform(seed: int, count: int) -> list[float]:
    """SplitMix64 in plain Python integers, as the paper states it."""
    mask = 2**64 - 1
    values = []
    for index in range(1, count + 1):
        z = (seed + index * 0x9E3779B97F4A7C15) & mask
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
        values.append(((z ^ (z >> 31)) >> 40) / 2**24)
    return values


def manifest_of(artifact: Path, target: str, **changes: Any) -> Manifest:
    """A manifest of ``y = SCALE · x + OFFSET`` on a 1x2x3x5 input, with fields replaced."""
    content = artifact.read_bytes()
    x = np.array(independent_uniform(77, 30)).reshape(1, 2, 3, 5)
    y = SCALE * x + OFFSET
    document: dict[str, Any] = {
        "producer": "test",
        "artifact": artifact.name,
        "artifact_sha256": hashlib.sha256(content).hexdigest(),
        "artifact_bytes": len(content),
        "target": target,
        "precision": "fp32",
        "source": {
            "file": "a.pt",
            "sha256": None,
            "model": "affine",
            "arguments": {},
            "container": "",
        },
        "versions": {},
        "inputs": [{"name": "x", "shape": [1, 2, 3, 5], "dtype": "float32", "layout": "nchw"}],
        "outputs": [{"name": "y", "shape": [1, 2, 3, 5], "dtype": "float32"}],
        "passes": [],
        "macs": 0,
        "parameter_bytes": 8,
        "partitions": {
            "delegate": "CPUExecutionProvider" if target == "onnx" else "XNNPACK",
            "partitions": 1,
            "delegated_ops": 2,
            "outside": [],
        },
        "parity": {"runtime": "r", "reference": "f", "tolerance_reason": "t", "figures": []},
        "probe": {
            "seed": 77,
            "batch": 1,
            "tolerance": 1e-5,
            "outputs": [
                {
                    "name": "y",
                    "shape": [1, 2, 3, 5],
                    "values": [float(v) for v in y.ravel()[:16]],
                    "rms": float(np.sqrt(np.mean(y**2))),
                }
            ],
        },
    }
    document |= changes
    if not document["parity"]["figures"]:
        names = [output["name"] for output in document["outputs"]]
        document["parity"]["figures"] = [PROVEN | {"output": name} for name in names]
    return Manifest.model_validate(document)


def write_onnx(path: Path, scale: float = SCALE, ballast: int = 0) -> None:
    """``y = scale · x + OFFSET`` as an ONNX file that carries ``ballast`` unused float32 values."""
    tensor = onnx.helper.make_tensor_value_info
    shape = [1, 2, 3, 5]
    graph = onnx.helper.make_graph(
        [
            onnx.helper.make_node("Mul", ["x", "scale"], ["scaled"]),
            onnx.helper.make_node("Add", ["scaled", "offset"], ["y"]),
        ],
        "affine",
        [tensor("x", onnx.TensorProto.FLOAT, shape)],
        [tensor("y", onnx.TensorProto.FLOAT, shape)],
        [
            onnx.numpy_helper.from_array(np.array(value, np.float32), name)
            for name, value in (("scale", scale), ("offset", OFFSET), ("ballast", [0.5] * ballast))
            if name != "ballast" or ballast
        ],
    )
    opsets = [onnx.helper.make_opsetid("", 20)]
    onnx.save(onnx.helper.make_model(graph, opset_imports=opsets, ir_version=10), str(path))


def write_stand_in(path: Path) -> None:
    """The smallest file that its format's reader opens: a root table without a field."""
    magic = {".tflite": b"TFL3", ".pte": b"ET12"}[path.suffix]
    path.write_bytes(struct.pack("<I4sHHi", 12, magic, 4, 4, 4))


def save_manifest(artifact: Path, manifest: Manifest) -> None:
    manifest_path(artifact).write_text(manifest.to_json(), encoding="utf-8")
