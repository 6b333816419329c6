"""Inputs of every dtype, and results of every structure, in every format."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import onnxruntime
import pytest
import torch
from torch import nn

from cnn_export.errors import InputRefused, UsageError
from cnn_export.job.api import export

IMAGE = torch.randn(1, 3, 8, 8)
TARGETS = ["onnx", "tflite", "coreml", "executorch"]


@dataclasses.dataclass
class Found:
    boxes: torch.Tensor
    scores: torch.Tensor
    extra: object = None


class Conditional(nn.Module):
    """Takes an image, a class, which pixels count, and bytes; returns a dataclass."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.embedding = nn.Embedding(2, 4)

    def forward(
        self, image: torch.Tensor, label: torch.Tensor, mask: torch.Tensor, raw: torch.Tensor
    ) -> Found:
        y = self.conv(image) * self.embedding(label)[..., None, None] + raw.float() / 255
        return Found(torch.where(mask, y, 0.0), nn.functional.max_pool2d(y, 2))


SHAPES = {"image": (1, 3, 8, 8), "label": (1,), "mask": (1, 1, 8, 8), "raw": (1, 1, 8, 8)}
DTYPES = {"label": "int64", "mask": "bool", "raw": "uint8"}


@pytest.mark.parametrize("target", TARGETS)
def test_dtypes_by_name(target: str, tmp_path: Path) -> None:
    result = export(Conditional(), target, output=tmp_path, shapes=SHAPES, dtypes=DTYPES)
    manifest = result.artifact.manifest
    told = {each.name: each.dtype for each in manifest.inputs}
    assert told == {"image": "float32", **DTYPES}
    assert [each.name for each in manifest.outputs] == ["boxes", "scores"]


@pytest.mark.parametrize(
    ("dtypes", "said"),
    [({"label": "int46"}, "Did you mean 'int64'"), ({"labl": "int64"}, "which has no shape")],
)
def test_other_dtypes_are_refused(dtypes: dict[str, str], said: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=said):
        export(Conditional(), "onnx", output=tmp_path, shapes=SHAPES, dtypes=dtypes)


def test_arithmetic_on_bytes_is_refused_for_core_ml(tmp_path: Path) -> None:
    class Wraps(nn.Module):
        def forward(self, raw: torch.Tensor) -> torch.Tensor:
            return (raw + raw).float()

    raw = torch.ones(1, 3, 4, 4, dtype=torch.uint8)
    with pytest.raises(InputRefused, match="add computes with its bytes; convert it to floats"):
        export(Wraps(), "coreml", output=tmp_path, example_inputs=(raw,))


class TakesADict(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)

    def forward(self, scale: torch.Tensor, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        return self.conv(batch["image"]) * scale - batch["depth"]


SCALE, DEPTH = torch.randn(1, 4, 1, 1), torch.randn(1, 1, 8, 8)


@pytest.mark.parametrize(
    "options",
    [
        {"example_inputs": (SCALE, {"image": IMAGE, "depth": DEPTH})},
        {
            "shapes": {
                **{"batch.image": (1, 3, 8, 8), "batch.depth": (1, 1, 8, 8)},
                "scale": (1, 4, 1, 1),
            }
        },
    ],
)
def test_a_dict_is_taken_apart(options: dict[str, Any], tmp_path: Path) -> None:
    network = TakesADict()
    artifact = export(network, "onnx", output=tmp_path, **options).artifact
    assert [each.name for each in artifact.manifest.inputs] == ["scale", "image", "depth"]
    session = onnxruntime.InferenceSession(artifact.path)
    given = {"scale": SCALE.numpy(), "image": IMAGE.numpy(), "depth": DEPTH.numpy()}
    (result,) = session.run(None, given)
    expected = network(SCALE, {"image": IMAGE, "depth": DEPTH}).detach()
    torch.testing.assert_close(torch.from_numpy(result), expected)


def test_a_dict_leaves_the_batch_open(tmp_path: Path) -> None:
    given = (SCALE, {"image": IMAGE, "depth": DEPTH})
    options: dict[str, Any] = {"example_inputs": given, "batch": "dynamic"}
    artifact = export(TakesADict(), "onnx", output=tmp_path, **options).artifact
    assert [each.shape[0] for each in artifact.manifest.inputs] == [-1, -1, -1]


def test_keys_that_name_nothing_are_refused(tmp_path: Path) -> None:
    given = (SCALE, {"image": IMAGE, "the depth": DEPTH})
    with pytest.raises(UsageError, match="the key 'the depth' of an input cannot name one"):
        export(TakesADict(), "onnx", output=tmp_path, example_inputs=given)


def test_other_names_in_a_dict_are_refused(tmp_path: Path) -> None:
    shapes = {"batch.image": (1, 3, 8, 8), "scael": (1, 4, 1, 1)}
    with pytest.raises(
        UsageError, match=r"do not fit the network's inputs \['scale', 'batch.image'\]"
    ):
        export(TakesADict(), "onnx", output=tmp_path, shapes=shapes)
