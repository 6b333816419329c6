"""Names, options and sizes that do not exist or do not fit, and packages that are missing."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

import pytest
from command_checks import NOT_INSTALLED, SMALL, USAGE, refusal

from cnn_export.command_line.packages import install_line

ONNX = ("-t", "onnx")


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
        (
            "onnx",
            ["--input-size", "64"],
            "--input-size, --input and example_inputs exclude one another",
        ),
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
    assert message == (f"cnn-export: {package} is not installed; run: {install_line([target])}\n")
    assert list(out.iterdir()) == []
