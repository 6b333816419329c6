"""From a manifest to the probe file that the app reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from affine_artifact import manifest_of

from cnn_export.benchmarks.devices.adb.app.probe_file import probe_file
from cnn_export.errors import InputRefused
from cnn_export.manifest.manifest import Manifest


def _manifest(tmp_path: Path, **changes: Any) -> Manifest:
    path = tmp_path / "m.onnx"
    path.write_bytes(b"m")
    return manifest_of(path, "onnx", **changes)


def test_a_probe_file_holds_the_manifests_probe(tmp_path: Path) -> None:
    manifest = _manifest(tmp_path)
    pairs = dict(line.split("=", 1) for line in probe_file(manifest, "onnxruntime").splitlines())
    expected = manifest.probe.outputs[0]
    assert next(iter(pairs)) == "protocol"
    assert pairs["sha256"] == manifest.artifact_sha256
    assert (pairs["runtime"], pairs["seed"], pairs["values"]) == ("onnxruntime", "77", "unit")
    assert float(pairs["tolerance"]) == 1e-5
    assert (pairs["input.0.shape"], pairs["input.0.layout"]) == ("1,2,3,5", "nchw")
    assert pairs["output.0.dtype"] == "float32"
    assert "output.0.whole" not in pairs
    assert float(pairs["output.0.rms"]) == expected.rms
    assert [float(each) for each in pairs["output.0.values"].split(",")] == expected.values


def test_a_dynamic_batch_is_the_probes(tmp_path: Path) -> None:
    manifest = _manifest(tmp_path)
    inputs = [{"name": "x", "shape": [-1, 3, 5, 2], "dtype": "float32", "layout": "nhwc"}]
    probe = manifest.probe.model_dump() | {"batch": 4}
    text = probe_file(_manifest(tmp_path, inputs=inputs, probe=probe), "onnxruntime")
    assert "input.0.shape=4,3,5,2\ninput.0.dtype=float32\ninput.0.layout=nhwc\n" in text


@pytest.mark.parametrize("name", ["a\nb", "a\rb", "x\nsha256=0"])
def test_a_name_that_would_break_a_line_is_refused(tmp_path: Path, name: str) -> None:
    inputs = [{"name": name, "shape": [1], "dtype": "float32"}]
    with pytest.raises(InputRefused, match=r"input\.0\.name .*line break"):
        probe_file(_manifest(tmp_path, inputs=inputs), "onnxruntime")


def test_outputs_go_in_the_artifacts_order(tmp_path: Path) -> None:
    outputs = [{"name": n, "shape": [1], "dtype": d} for n, d in (("b", "int64"), ("a", "bool"))]
    probes = [{"name": n, "shape": [1], "values": [v], "rms": v} for n, v in (("a", 1), ("b", 2))]
    probe = _manifest(tmp_path).probe.model_dump()
    both = _manifest(tmp_path, outputs=outputs, probe=probe | {"outputs": probes})
    text = probe_file(both, "onnxruntime")
    assert "output.0.name=b\noutput.0.shape=1\noutput.0.dtype=int64\noutput.0.rms=2.0" in text
    assert text.count(".whole=true\n") == 2
    assert "output.1.name=a\noutput.1.shape=1\noutput.1.dtype=bool\noutput.1.rms=1.0" in text
