"""Weights export as they are read, however a checkpoint has them lie in memory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from cnn_export.job.api import export
from cnn_export.program.plain_layout import plain_layout
from cnn_export.program.program import capture


def _permuted(*shape: int) -> torch.Tensor:
    return torch.randn(shape[::-1]).permute(*reversed(range(len(shape))))


def _channels_last(*shape: int) -> torch.Tensor:
    tensor = torch.randn(shape)
    return tensor.to(memory_format=torch.channels_last) if len(shape) == 4 else tensor


def _expanded(*shape: int) -> torch.Tensor:
    return torch.randn(shape[0], *[1] * (len(shape) - 1)).expand(shape)


def _every_second(*shape: int) -> torch.Tensor:
    return torch.randn(*shape[:-1], 2 * shape[-1])[..., ::2]


def _overlapping(*shape: int) -> torch.Tensor:
    strides = range(1, len(shape) + 1)
    return torch.randn(sum(shape) * len(shape)).as_strided(shape, tuple(strides))


LAYOUTS = [_permuted, _channels_last, _expanded, _every_second, _overlapping]


class ManyAlike(nn.Module):
    """Convolutions, linear layers and maps of equal shapes, one behind the other."""

    def __init__(self, layouts: list[Callable[..., torch.Tensor]]) -> None:
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(4, 4, 3, padding=1, bias=False) for _ in layouts)
        self.layers = nn.ModuleList(nn.Linear(4, 4, bias=False) for _ in layouts)
        for number, made in enumerate(layouts):
            self.convs[number].weight = nn.Parameter(made(4, 4, 3, 3))
            self.layers[number].weight = nn.Parameter(made(4, 4))
            self.register_buffer(f"map_{number}", made(1, 4, 8, 8))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for number, (conv, layer) in enumerate(zip(self.convs, self.layers, strict=True)):
            x = torch.tanh(conv(x) * 0.2 + self.get_buffer(f"map_{number}"))
            x = torch.tanh(layer(x.mean((2, 3))))[..., None, None] + x
        return x


@pytest.mark.parametrize("target", ["onnx", "tflite", "coreml", "executorch"])
def test_exports_whatever_lies_beside_what(target: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    network, image = ManyAlike(3 * LAYOUTS), _channels_last(1, 4, 8, 8)
    contents = set[bytes]()
    for _ in range(2 if target == "tflite" else 1):
        result = export(network, target, output=tmp_path, example_inputs=(image,), reparam=False)
        path = result.artifacts[0].path
        contents.add(path.read_bytes() if path.is_file() else b"")
    assert len(contents) == 1


@pytest.mark.parametrize("made", LAYOUTS)
def test_stored_tensors_lie_in_order(made: Callable[..., torch.Tensor]) -> None:
    network = ManyAlike([made])
    given = {name: tensor.stride() for name, tensor in network.state_dict().items()}
    program = capture(network, (made(1, 4, 8, 8),))
    stored = program.graph_module.state_dict()
    for tensor in (*stored.values(), *program.example_inputs):
        assert tensor.stride() == torch.empty(tensor.shape).stride()
    assert all(torch.equal(stored[name], network.state_dict()[name]) for name in stored)
    assert {name: tensor.stride() for name, tensor in network.state_dict().items()} == given


def test_strides_of_single_channels_are_plain_too() -> None:
    depthwise = torch.randn(4, 1, 3, 3).to(memory_format=torch.channels_last)
    assert depthwise.is_contiguous()
    assert depthwise.stride() != (9, 9, 3, 1)
    assert plain_layout(depthwise).stride() == (9, 9, 3, 1)


def test_a_tensor_under_two_names_stays_one() -> None:
    network = nn.Sequential(nn.Conv2d(4, 4, 3, bias=False), nn.Conv2d(4, 4, 3, bias=False))
    network[0].weight = network[1].weight = nn.Parameter(_permuted(4, 4, 3, 3))
    graph_module = capture(network, (torch.randn(1, 4, 9, 9),)).graph_module
    assert len({id(each) for each in graph_module.state_dict(keep_vars=True).values()}) == 1
