"""What a TFLite and an ExecuTorch file say of themselves."""

from __future__ import annotations

import json
from pathlib import Path

import networks
import pytest

from cnn_export import export
from cnn_export.job.quiet import quiet

SHAPES = {"image": (1, 3, 13, 18)}


def tflite_metadata(path: Path) -> dict[str, str]:
    from ai_edge_litert import schema_py_generated as schema

    model = schema.Model.GetRootAs(path.read_bytes(), 0)
    entries = [model.Metadata(i) for i in range(model.MetadataLength())]
    return {
        entry.Name().decode(): model.Buffers(entry.Buffer()).DataAsNumpy().tobytes().decode()
        for entry in entries
        if model.Buffers(entry.Buffer()).DataLength()
    }


def executorch_metadata(path: Path) -> dict[str, str]:
    from executorch.runtime import Runtime

    with quiet():
        program = Runtime.get().load_program(path)
        return {
            name.removeprefix("meta_"): program.load_method(name).execute([])[0]
            for name in program.method_names
            if name.startswith("meta_")
        }


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
@pytest.mark.parametrize(
    ("target", "read"), [("tflite", tflite_metadata), ("executorch", executorch_metadata)]
)
def test_metadata_is_inside(target: str, read: object, precision: str, out: Path) -> None:
    result = export(networks.small_net(), target, output=out, shapes=SHAPES, precision=precision)
    assert callable(read)
    metadata = read(result.artifact.path)
    assert metadata["model"] == "SmallNet"
    assert metadata["precision"] == precision
    assert metadata["producer"].startswith("cnn-export ")
    (declared,) = json.loads(metadata["inputs"])
    assert (declared["name"], declared["shape"]) == ("image", [1, 3, 13, 18])
