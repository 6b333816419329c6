"""PReLU is one operator of a TFLite file, in every precision that computes in floats."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from ai_edge_litert.interpreter import Interpreter
from litert_torch import fx_infra
from torch import nn

from cnn_export import export

PRELU: Any = torch.ops.aten._prelu_kernel.default


def _images(slopes: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.PReLU(slopes), nn.Conv2d(8, 8, 1))


def _operators(path: Path) -> list[str]:
    interpreter: Any = Interpreter(model_path=str(path))
    return [each["op_name"] for each in interpreter._get_ops_details()]


def test_its_weights_stand_once(out: Path) -> None:
    """Behind a linear layer they were multiplied twice: 1.77 of the parameters' bytes."""
    module = nn.Sequential(nn.Linear(64, 256), nn.PReLU(256), nn.Linear(256, 4)).eval()
    artifact = export(module, ["tflite"], output=out, example_inputs=[torch.randn(1, 64)]).artifact
    assert _operators(artifact.path) == ["FULLY_CONNECTED", "PRELU", "FULLY_CONNECTED"]
    stored = sum(each.nbytes for each in module.parameters())
    assert artifact.path.stat().st_size < 1.05 * stored


@pytest.mark.parametrize(("slopes", "precision"), [(8, "fp32"), (1, "fp32"), (8, "fp16")])
def test_images(out: Path, slopes: int, precision: str) -> None:
    before = fx_infra.decomp.pre_convert_decomp()[PRELU]
    result = export(
        _images(slopes).eval(), ["tflite"],
        output=out, example_inputs=[torch.randn(1, 3, 9, 12)], precision=precision,
    )  # fmt: skip
    split = result.artifact.manifest.partitions
    assert (split.partitions, split.outside) == (1, [])
    names = _operators(result.artifact.path)
    assert (names.count("PRELU"), names.count("RELU"), names.count("NEG")) == (1, 0, 0)
    tables = fx_infra.decomp.pre_convert_decomp(), fx_infra.decomp.pre_lower_decomp()
    assert [table[PRELU] for table in tables] == [before, before]
