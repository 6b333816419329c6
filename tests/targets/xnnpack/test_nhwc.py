"""TFLite files with NHWC images, on published networks and on image outputs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import networks
import numpy as np
import pytest
import torch
from ai_edge_litert.interpreter import Interpreter
from families import FAMILIES
from torch import nn

from cnn_export import export
from cnn_export.job.quiet import quiet
from cnn_export.targets import load_target

SIZE = (64, 48)


class ImageToImage(nn.Module):
    """Rank-4 in, rank-4 out, with an odd height and another number of channels."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 5, 3, stride=2, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.norm(self.conv(x)))


def operators(path: Path) -> list[dict[str, Any]]:
    with quiet():
        interpreter = Interpreter(model_path=str(path))
        interpreter.allocate_tensors()
    return [op for op in interpreter._get_ops_details() if op["op_name"] != "DELEGATE"]


def at_the_border(path: Path) -> set[str]:
    """Return the operators that read an input or write an output of the file."""
    with quiet():
        interpreter = Interpreter(model_path=str(path))
    inputs = {detail["index"] for detail in interpreter.get_input_details()}
    outputs = {detail["index"] for detail in interpreter.get_output_details()}
    return {
        op["op_name"]
        for op in operators(path)
        if inputs & set(op["inputs"]) or outputs & set(op["outputs"])
    }


def relative_error(module: nn.Module, path: Path, shape: tuple[int, ...]) -> float:
    """Run the file on an NHWC image the job never saw; images come back as NHWC."""
    image = torch.randn(*shape, generator=torch.Generator().manual_seed(99))
    with torch.no_grad():
        expected = module.double()(image.double())
    module.float()
    if expected.ndim == 4:
        expected = expected.permute(0, 2, 3, 1)
    with quiet():
        (actual,) = (
            load_target("tflite").load(path)({"x": image.permute(0, 2, 3, 1).numpy()}).values()
        )
    assert actual.shape == tuple(expected.shape)
    exact = expected.numpy()
    return float(np.abs(actual - exact).max() / np.sqrt(np.mean(exact**2)))


@pytest.mark.parametrize("name", ["mobilenet_v3_small", "shufflenet_v2_x0_5"])
def test_published_network(name: str, out: Path) -> None:
    torch.manual_seed(8)
    module = networks.seeded(FAMILIES[name]())
    settings = {"input_size": SIZE, "layout": "nhwc"}
    artifact = export(module, "tflite", output=out, **settings).artifact
    assert artifact.manifest.inputs[0].shape == [1, *SIZE, 3]
    assert relative_error(module, artifact.path, (1, 3, *SIZE)) < 1e-5
    assert "TRANSPOSE" not in at_the_border(artifact.path)


def test_image_output_is_nhwc_too(out: Path) -> None:
    torch.manual_seed(9)
    module = networks.seeded(ImageToImage())
    settings = {"shapes": {"x": (1, 3, 13, 18)}, "layout": "nhwc"}
    artifact = export(module, "tflite", output=out, **settings).artifact
    (output,) = artifact.manifest.outputs
    assert (output.shape, output.layout) == ([1, 7, 9, 5], "nhwc")
    assert relative_error(module, artifact.path, (1, 3, 13, 18)) < 1e-5
    assert "TRANSPOSE" not in [op["op_name"] for op in operators(artifact.path)]


def test_nchw_does_transpose_at_the_border(out: Path) -> None:
    """The other layout, so that the checks above are known to see a transpose."""
    torch.manual_seed(9)
    module = networks.seeded(ImageToImage())
    artifact = export(module, "tflite", output=out, shapes={"x": (1, 3, 13, 18)}).artifact
    assert at_the_border(artifact.path) == {"TRANSPOSE"}
