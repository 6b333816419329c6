"""What a user can get wrong on the command line: one line says it, and nothing is written."""

from __future__ import annotations

import pickle
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import networks
import pytest
import torch
from command_checks import NOT_INSTALLED, REFUSED, SMALL, USAGE, refusal

ONNX = ("-t", "onnx")
DETERMINANT = ("--model", "networks:Determinant", "--input", "image=1x3x9x11")
DETERMINANT_LINE = next(
    number
    for number, line in enumerate(Path(networks.__file__).read_text().splitlines(), start=1)
    if "torch.linalg.det" in line
)

USER_NETWORKS = '''
import torch
from torch import nn


class Wide(nn.Module):
    """Takes images from 5 px."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 5)

    def forward(self, image):
        return self.conv(image).mean((2, 3))


class Bessel(Wide):
    def forward(self, image):
        return torch.special.bessel_j0(self.conv(image))


class Exits(Wide):
    def forward(self, image):
        raise SystemExit("bye")
'''


class Boom:
    """Unpickling one would leave a mark."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.mark,))


@pytest.fixture
def user_networks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module ``wide_networks`` in the current folder, and a checkpoint of its networks."""
    (tmp_path / "wide_networks.py").write_text(USER_NETWORKS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "wide_networks", raising=False)
    torch.manual_seed(1)
    conv = torch.nn.Conv2d(3, 4, 5)
    checkpoint = tmp_path / "wide.pt"
    torch.save({f"conv.{name}": value for name, value in conv.state_dict().items()}, checkpoint)
    return checkpoint


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "does not exist"),
        (b"", "is empty"),
        (b"these are words, not weights\n" * 9, "is text"),
    ],
)
def test_no_checkpoint(
    content: bytes | None, said: str, tmp_path: Path, out: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "net.pt"
    if content is not None:
        path.write_bytes(content)
    message = refusal(capfd, REFUSED, path, *ONNX, "-o", out)
    assert said in message
    assert str(path) in message
    assert list(out.iterdir()) == []


def test_truncated_checkpoint(
    small_checkpoint: Path, out: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    content = small_checkpoint.read_bytes()
    small_checkpoint.write_bytes(content[: len(content) // 2])
    message = refusal(capfd, REFUSED, small_checkpoint, *ONNX, *SMALL, "-o", out)
    assert "again" in message  # fetch or save it again
    assert list(out.iterdir()) == []


@pytest.mark.parametrize("legacy", [False, True])
def test_code_in_a_checkpoint_never_runs(
    legacy: bool, tmp_path: Path, out: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path, mark = tmp_path / "net.pt", tmp_path / "mark"
    content = {**networks.small_net().state_dict(), "extra": Boom(mark)}
    if legacy:
        path.write_bytes(pickle.dumps(content))
    else:
        torch.save(content, path)
    message = refusal(capfd, REFUSED, path, *ONNX, *SMALL, "-o", out)
    assert not mark.exists()
    assert str(path) in message
    assert list(out.iterdir()) == []


def _with_nan(state: dict[str, torch.Tensor]) -> None:
    state["conv.weight"][1, 2, 0, 1] = torch.nan


def _other_classes(state: dict[str, torch.Tensor]) -> None:
    state["head.weight"] = state["head.weight"][:5]
    state["head.bias"] = state["head.bias"][:5]


def _half(state: dict[str, torch.Tensor]) -> None:
    for name in list(state)[::2]:
        del state[name]


@pytest.mark.parametrize(
    ("damage", "named"),
    [(_with_nan, "conv.weight"), (_other_classes, "head.weight"), (_half, "conv.weight")],
)
def test_tensors_that_do_not_fit(
    damage: object, named: str, tmp_path: Path, out: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    state = networks.small_net().state_dict()
    assert callable(damage)
    damage(state)
    path = tmp_path / "net.pt"
    torch.save(state, path)
    assert named in refusal(capfd, REFUSED, path, *ONNX, *SMALL, "-o", out)
    assert list(out.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-t", "onnx", "--model", "mobilenet_v9"], "mobilenet_v2"),
        (["-t", "onnx", "--model", "networks:SmalNet"], "SmallNet"),
        (["-t", "onix"], "Did you mean 'onnx'?"),
        (["-t", "onnx", "-t", "tfite"], "Did you mean 'tflite'?"),
        (["-t", "onnx", "--precision", "fp61"], "'fp16'"),
        (["-t", "onnx", "--layout", "nhw"], "'nhwc'"),
        (["-t", "onnx", "--dry-rum"], "'--dry-run'"),
        (["-t", "coreml", "--minimum-deployment-target", "iOS-16"], "'iOS16'"),
        ([], "--target"),
    ],
)
def test_names_that_do_not_exist(
    arguments: list[str],
    said: str,
    small_checkpoint: Path,
    out: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    assert said in refusal(capfd, USAGE, small_checkpoint, *arguments, "-o", out)
    assert list(out.iterdir()) == []


@pytest.mark.parametrize(
    ("target", "arguments", "said"),
    [
        ("onnx", ["--layout", "nhwc"], "--layout applies to tflite"),
        ("tflite", ["--opset", "18"], "--opset applies to onnx"),
        ("executorch", ["--ir-version", "8"], "--ir-version applies to onnx"),
        ("onnx", ["--minimum-deployment-target", "iOS16"], "applies to coreml"),
        ("tflite", ["--image-input"], "--image-input applies to coreml"),
        ("onnx", ["--opset", "3"], "choose 18 to 23"),
        ("onnx", ["--opset", "x"], "not a valid integer"),
        ("onnx", ["--ir-version", "99"], "--ir-version 99"),
        ("onnx", ["--ir-version", "9" * 20], "--ir-version"),
        ("onnx", ["--model-arg", "classes"], "NAME=VALUE"),
        ("onnx", ["--model-arg", "=4"], "NAME=VALUE"),
        ("onnx", ["--model-arg", "clases=4"], "clases"),
        ("onnx", ["--batch", "7"], "drop one of the two"),
        ("onnx", ["--input-size", "64"], "drop --input-size"),
        ("onnx", ["--input", "image=1x3x5x5"], "each name once"),
        ("onnx", ["--input", "mask=1x3x5x5"], "['image']"),
    ],
)
def test_options_that_do_not_fit(
    target: str,
    arguments: list[str],
    said: str,
    small_checkpoint: Path,
    out: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    message = refusal(capfd, USAGE, small_checkpoint, "-t", target, *SMALL, "-o", out, *arguments)
    assert said in message
    assert list(out.iterdir()) == []


@pytest.mark.parametrize(
    "arguments",
    [
        *(["--batch", text] for text in ("0", "-1", "1.5", "²", "all", "9" * 5000)),
        *(["--input-size", text] for text in ("0", "00", "0x5", "5x", "-3", "²", "1x2x3", "wide")),
        *(["--input-size", text] for text in ("99999999", "9" * 5000, "1x999999999")),
        ["--input-size", "64", "--batch", "999999999"],
        *(["--input", f"image={text}"] for text in ("", "1x3x0x4", "1x3xax4", "1x3x²x4", "1,3")),
        *(["--input", text] for text in ("image", "=1x3x4x4", "image=1x3x99999x99999")),
    ],
    ids=lambda arguments: " ".join(arguments)[:40],
)
def test_malformed_sizes(
    arguments: list[str], small_checkpoint: Path, out: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    model = ("--model", "networks:SmallNet")
    refusal(capfd, USAGE, small_checkpoint, *ONNX, *model, *arguments, "-o", out)
    assert list(out.iterdir()) == []


def test_a_network_that_does_not_say_its_input(
    small_checkpoint: Path, out: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    model = ("--model", "networks:SmallNet")
    message = refusal(capfd, USAGE, small_checkpoint, *ONNX, *model, "-o", out)
    assert "give --input-size 224 or --input" in message


def test_input_too_small(user_networks: Path, out: Path, capfd: pytest.CaptureFixture[str]) -> None:
    arguments = [*ONNX, "--model", "wide_networks:Wide", "--input-size", "4x9", "-o", out]
    message = refusal(capfd, REFUSED, user_networks, *arguments)
    assert "1x3x4x9" in message
    assert "wide_networks.py:14" in message
    assert "--input-size" in message
    assert list(out.iterdir()) == []


def test_input_too_small_for_a_known_network(
    tmp_path: Path, out: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    from cnn_export.models.skipnet import skipnet

    path = tmp_path / "skipnet.pt"
    torch.save(networks.seeded(skipnet(classes=4)).state_dict(), path)
    message = refusal(capfd, REFUSED, path, *ONNX, "--input-size", "8", "-o", out)
    assert "1x3x8x8" in message
    assert list(out.iterdir()) == []


def test_a_network_that_exits_is_no_success(
    user_networks: Path, out: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    arguments = [*ONNX, "--model", "wide_networks:Exits", "--input-size", "9", "-o", out]
    assert "bye" in refusal(capfd, REFUSED, user_networks, *arguments)


@pytest.mark.parametrize("target", ["tflite", "coreml", "executorch"])
def test_an_operator_without_a_lowering(
    target: str, tmp_path: Path, out: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "net.pt"
    torch.save(networks.Determinant().state_dict(), path)
    message = refusal(capfd, REFUSED, path, "-t", target, *DETERMINANT, "-o", out)
    assert target in message
    assert "aten._linalg_det" in message
    assert f"networks.py:{DETERMINANT_LINE}" in message
    assert list(out.iterdir()) == []


def test_an_operator_without_a_lowering_in_onnx(
    user_networks: Path, out: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--model", "wide_networks:Bessel", "--input-size", "9x11", "-o", out]
    message = refusal(capfd, REFUSED, user_networks, *ONNX, *arguments)
    assert "bessel_j0" in message
    assert "wide_networks.py:19" in message
    assert list(out.iterdir()) == []


@pytest.mark.parametrize(
    ("target", "package"),
    [
        ("onnx", "onnxruntime"),
        ("tflite", "ai-edge-litert"),
        ("coreml", "coremltools"),
        ("executorch", "executorch"),
    ],
)
def test_a_missing_package(
    target: str,
    package: str,
    small_checkpoint: Path,
    out: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    installed = metadata.version

    def version(name: str) -> str:
        if name == package:
            raise metadata.PackageNotFoundError(name)
        return installed(name)

    monkeypatch.setattr(metadata, "version", version)
    message = refusal(capfd, NOT_INSTALLED, small_checkpoint, "-t", target, *SMALL, "-o", out)
    assert message == (
        f"cnn-export: {package} is not installed; run: pip install 'cnn-export[{target}]'\n"
    )
    assert list(out.iterdir()) == []
