"""``--device-profile``: the same steps in signed activations, proven where none are computed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from torch import nn

from cnn_export import export
from cnn_export.benchmarks.artifacts.proven_file import proven_files
from cnn_export.benchmarks.profiles.worker import profile
from cnn_export.benchmarks.worker.loaded_artifact import load_checked
from cnn_export.errors import ExportError, InputRefused, ParityError, UsageError
from cnn_export.job.int8 import forms, int8_plan
from cnn_export.quantization.emulation.host import onnx_runtime_here
from cnn_export.targets import load_target
from cnn_export.targets.onnx import model_proto
from cnn_export.targets.onnx.runtime import takes_signed_here

SHAPE = (3, 11, 14)
ON_X86 = pytest.mark.skipif(takes_signed_here(), reason="signed activations are integers here")


class Net(nn.Module):
    """A sum of two maps: what ONNX Runtime adds in another way on ARM."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(9)
        self.first = nn.Conv2d(3, 8, 3, padding=1)
        self.second = nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.gate = nn.Conv2d(8, 8, 1)

    def forward(self, image: Any) -> Any:
        x = self.first(image).relu()
        return self.gate((self.second(x).relu() + x).relu())


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "images.npz"
    images = np.random.default_rng(4).standard_normal((48, *SHAPE)).astype(np.float32)
    np.savez(path, image=images)
    return path


def exported(data: Path | str, folder: Path, target: str = "onnx", **settings: Any) -> Any:
    given = {"input_size": SHAPE[1:], "precision": "int8", "calibration": data} | settings
    return export(Net(), target, output=folder, **given).artifact


def activations(model: onnx.ModelProto) -> list[tuple[np.dtype, int]]:
    """Return dtype and zero point of every quantized activation."""
    stored = {each.name: numpy_helper.to_array(each) for each in model.graph.initializer}
    points = [stored[n.input[2]] for n in model.graph.node if n.op_type == "QuantizeLinear"]
    return [(each.dtype, int(each)) for each in points]


@pytest.mark.parametrize("io", ["float", "int8", "uint8"])
def test_activations_are_signed_and_steps_are_the_same(data: Path, tmp_path: Path, io: str) -> None:
    signed = exported(data, tmp_path / "arm", device_profile="arm", io=io)
    proven_files([signed.path])
    record = signed.manifest.quantization
    assert (record.device_profile, record.arithmetic) == ("arm", "ONNX Runtime on ARM64")
    assert {each.max_abs_error for each in signed.manifest.parity.figures} == {0.0}
    if io != "float":
        assert signed.manifest.inputs[0].dtype == io
        return
    plain = exported(data, tmp_path / "x86", device_profile="x86")
    assert plain.manifest.quantization.device_profile == "x86"
    moved = [(np.dtype(np.uint8), point + 128) for _, point in activations(onnx.load(signed.path))]
    assert moved == activations(onnx.load(plain.path))
    image = {"image": np.load(data)["image"][:1]}
    (first,) = load_target("onnx").load(signed.path)(image).values()
    (second,) = load_target("onnx").load(plain.path)(image).values()
    assert np.abs(first - second).max() < 0.05 * np.abs(second).max()


@ON_X86
def test_what_is_for_arm_is_not_timed_here(data: Path, tmp_path: Path) -> None:
    path = exported(data, tmp_path, device_profile="arm").path
    for call in (
        lambda: load_checked(path, 1, {}),
        lambda: profile(path, 1, 1),
    ):
        with pytest.raises(InputRefused, match=r"is for ARM64 .*--device adb"):
            call()


@pytest.mark.parametrize(
    ("profile", "said", "not_run"),
    [
        ("htp", "run on ONNX Runtime's CPU; HTP was not run", "HTP"),
        pytest.param("arm", "as emulated; not run on ARM64", "ARM64", marks=ON_X86),
        pytest.param("x86", None, None, marks=ON_X86),
    ],
)
def test_a_device_that_did_not_run_it_is_named(
    data: Path, tmp_path: Path, profile: Any, said: str | None, not_run: str | None
) -> None:
    result = export(
        Net(),
        "onnx",
        output=tmp_path,
        input_size=SHAPE[1:],
        precision="int8",
        calibration=data,
        device_profile=profile,
    )
    record = result.artifact.manifest.quantization
    assert record is not None
    assert record.not_run == not_run
    notes = [note for note in result.notes if "--device-profile" in note]
    assert len(notes) == (said is not None)
    assert all(str(said) in note for note in notes)


@ON_X86
def test_the_manifest_says_what_was_run(data: Path, tmp_path: Path) -> None:
    manifest = exported(data, tmp_path, device_profile="arm").manifest
    assert manifest.quantization.proven_in == onnx_runtime_here().name
    assert manifest.parity.reference.endswith("of the file with its activations in uint8")


@ON_X86
def test_a_wrong_zero_point_in_the_signed_file_is_found(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finish = model_proto.finish

    def damaged(model: Any, *rest: Any) -> None:
        quantize = [node for node in model.graph.node if node.op_type == "QuantizeLinear"][-2]
        (point,) = (each for each in model.graph.initializer if each.name == quantize.input[2])
        value = numpy_helper.to_array(point) + np.int8(1)
        point.CopyFrom(numpy_helper.from_array(value.astype(np.int8), point.name))
        finish(model, *rest)

    monkeypatch.setattr(model_proto, "finish", damaged)
    with pytest.raises(ParityError, match="not what its integers give"):
        exported(data, tmp_path, device_profile="arm")
    assert list(tmp_path.iterdir()) == []


@ON_X86
@pytest.mark.parametrize("io", ["float", "uint8"])
def test_a_file_that_stayed_unsigned_is_not_proven(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, io: str
) -> None:
    """It is its own twin, bit for bit: only its types tell that nothing of it is for ARM."""
    real = forms.form_of

    def unsigned(target: Any, profile: Any = None) -> forms.Form:
        return forms.Form(target.spelling, real(target, profile).arithmetic)

    monkeypatch.setattr(int8_plan, "form_of", unsigned)
    with pytest.raises(ExportError, match="in another type than int8"):
        exported(data, tmp_path, device_profile="arm", io=io)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"device_profile": "arm", "target": "tflite"}, "applies to onnx, not to tflite"),
        ({"device_profile": "x86", "precision": "fp32"}, "--precision int8, not to fp32"),
        ({"device_profile": "arm64"}, "choose x86 or htp or arm"),
    ],
)
def test_refused(settings: dict[str, Any], said: str, tmp_path: Path) -> None:
    data = None if settings.get("precision") == "fp32" else "synthetic"
    with pytest.raises(UsageError, match=said):
        exported(data, tmp_path, **settings)  # type: ignore[arg-type]
