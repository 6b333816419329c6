"""What the manifest says of operators that a delegate leaves to the runtime's own kernels."""

from __future__ import annotations

from pathlib import Path

import networks
import pytest
import torch
from torch import nn

from cnn_export import export
from cnn_export.__main__ import main

SHAPES = {"image": (1, 3, 13, 18)}
CUMSUM = {"tflite": "CUMSUM", "executorch": "aten::cumsum.out"}
ARGMAX = {"tflite": "ARG_MAX", "executorch": "aten::argmax.out"}


class CumulativeSums(nn.Module):
    """Convolutions with cumulative sums between them, which XNNPACK does not have."""

    def __init__(self, sums: int = 1) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(4)
        self.after = nn.ModuleList(nn.Conv2d(4, 4, 1) for _ in range(sums))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        features = self.norm(self.stem(image))
        for conv in self.after:
            features = conv(torch.cumsum(features, 2))
        return features


class SegmentationMap(nn.Module):
    """A network that ends in an argmax, as segmentation networks do."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 5, 3, padding=1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return torch.argmax(self.conv(image), dim=1)


@pytest.mark.parametrize("target", list(CUMSUM))
@pytest.mark.parametrize("sums", [1, 2])
def test_every_operator_outside_splits_the_file_once_more(
    target: str, sums: int, out: Path
) -> None:
    torch.manual_seed(1)
    module = networks.seeded(CumulativeSums(sums))
    split = export(module, target, output=out, shapes=SHAPES).artifact.manifest.partitions
    assert split.delegate == "XNNPACK"
    assert {entry.op: entry.count for entry in split.outside} == {CUMSUM[target]: sums}
    assert split.partitions == sums + 1
    assert split.delegated_ops >= sums + 1


@pytest.mark.parametrize("target", list(ARGMAX))
def test_an_operator_at_the_end_leaves_one_partition(target: str, out: Path) -> None:
    torch.manual_seed(2)
    module = networks.seeded(SegmentationMap())
    split = export(module, target, output=out, shapes=SHAPES).artifact.manifest.partitions
    assert {entry.op: entry.count for entry in split.outside} == {ARGMAX[target]: 1}
    assert split.partitions == 1


def test_onnx_counts_its_nodes(out: Path) -> None:
    torch.manual_seed(1)
    module = networks.seeded(CumulativeSums(2))
    split = export(module, "onnx", output=out, shapes=SHAPES).artifact.manifest.partitions
    # Three convolutions, with the batch norm folded, and two sums.
    assert (split.delegate, split.delegated_ops, split.outside) == ("CPUExecutionProvider", 5, [])


def test_the_table_shows_partitions_only_where_they_were_measured(
    small_checkpoint: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--model", "networks:SmallNet", "--input", "image=1x3x13x18", "-t", "all"]
    assert main([str(small_checkpoint), *arguments, "-o", str(out)]) == 0
    heading, *rows = capsys.readouterr().out.splitlines()
    assert heading.split()[5:7] == ["partitions", "ops"]
    shown = {row.split()[0]: row.split()[4] for row in rows}
    dash = "\N{EN DASH}"
    assert shown == {"onnx": dash, "tflite": "1", "coreml": dash, "executorch": "1"}
