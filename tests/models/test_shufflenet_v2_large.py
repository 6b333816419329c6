"""The blocks of ShuffleNetV2's large networks, composed anew from their own layers."""

from __future__ import annotations

import pytest
import torch
from networks import randomize_batch_norm
from torch import nn

from cnn_export.models.families.shufflenet_v2_large import ExLargeBlock, LargeBlock, TrainingHead
from cnn_export.models.registry import architectures


def trained_like(block: nn.Module) -> nn.Module:
    torch.manual_seed(3)
    randomize_batch_norm(block)
    return block.double().eval()


def gated(block: nn.Module, maps: torch.Tensor) -> torch.Tensor:
    maps = block.branch_main(maps)
    means = maps.mean(dim=(2, 3))
    scale = torch.sigmoid(block.se_fc2(torch.relu(block.se_fc1(means))))
    return maps * scale.reshape(*scale.shape, 1, 1)


MAPS = torch.randn(2, 32, 7, 5, dtype=torch.float64)
EVEN, ODD = MAPS[:, ::2], MAPS[:, 1::2]


@torch.no_grad()
@pytest.mark.parametrize("stride", [1, 2])
def test_the_large_block(stride: int) -> None:
    block = trained_like(LargeBlock(32, 64, stride, projects=True))
    expected = torch.relu(torch.cat((block.proj(EVEN), gated(block, ODD)), 1))
    expected = block.down(expected) if stride == 2 else expected
    assert torch.equal(block(MAPS), expected)
    assert expected.shape == (2, 64, 7 // stride + stride - 1, 5 // stride + stride - 1)
    assert len(list(block.down.children())) == (3 if stride == 2 else 0)
    plain = trained_like(LargeBlock(32, 32, 1, projects=False))
    assert torch.equal(plain(MAPS), torch.relu(torch.cat((EVEN, ODD + gated(plain, ODD)), 1)))


@torch.no_grad()
def test_the_extra_large_block() -> None:
    block = trained_like(ExLargeBlock(32, 64, 2, projects=True))
    assert torch.equal(block(MAPS), torch.cat((block.proj(MAPS), gated(block, MAPS)), 1))
    plain = trained_like(ExLargeBlock(32, 32, 1, projects=False))
    assert torch.equal(plain(MAPS), torch.cat((EVEN, torch.relu(ODD + gated(plain, ODD))), 1))


@pytest.mark.parametrize("name", ["shufflenet_v2_large", "shufflenet_v2_exlarge"])
def test_training_heads_are_held_and_never_run(name: str) -> None:
    with torch.device("meta"):
        network = architectures()[name].build(classes=7)
        heads = [module for module in network.children() if isinstance(module, TrainingHead)]
        assert [head.fc.out_features for head in heads] == [1000] * 3  # as the authors' code
        assert network.eval()(torch.zeros(1, 3, 96, 64)).shape == (1, 7)
