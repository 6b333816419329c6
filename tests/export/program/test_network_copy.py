"""A network that keeps tensors between calls exports, and stays as its owner gave it."""

from __future__ import annotations

import copy
import functools
import threading
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from cnn_export.errors import ExportError
from cnn_export.job.api import export
from cnn_export.program.network_copy import network_copy

IMAGE = torch.randn(1, 3, 8, 12)


def _grid(x: torch.Tensor) -> torch.Tensor:
    height, width = x.shape[-2:]
    return torch.linspace(0, 1, height * width, dtype=x.dtype).view(1, 1, height, width)


@functools.lru_cache
def _remembered_grid(height: int, width: int) -> torch.Tensor:
    return _grid(torch.empty(1, 1, height, width))


class Remembers(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.norm(self.conv(x))
        return x * self.grid(x)


class AnchorsInAttributes(Remembers):
    """As YOLO's head does: the class has empty ones, a new shape makes new ones."""

    anchors = torch.empty(0)
    shape: Any = None

    def grid(self, x: torch.Tensor) -> torch.Tensor:
        if self.shape != x.shape:
            self.anchors, self.shape = _grid(x), x.shape
        return self.anchors


class MasksBySize(Remembers):
    def __init__(self) -> None:
        super().__init__()
        self.masks: dict[Any, torch.Tensor] = {}

    def grid(self, x: torch.Tensor) -> torch.Tensor:
        if x.shape not in self.masks:
            self.masks[x.shape] = _grid(x)
        return self.masks[x.shape]


class GridInABuffer(Remembers):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("positions", torch.zeros(1), persistent=False)

    def grid(self, x: torch.Tensor) -> torch.Tensor:
        self.positions = _grid(x)
        return self.positions


class GridOfAFunction(Remembers):
    def grid(self, x: torch.Tensor) -> torch.Tensor:
        return _remembered_grid(*x.shape[-2:])


REMEMBER = [AnchorsInAttributes, MasksBySize, GridInABuffer, GridOfAFunction]


def _hook(module: nn.Module, inputs: object, output: torch.Tensor) -> torch.Tensor:
    return output + 1


def _noticed(network: nn.Module) -> dict[str, Any]:
    """Return all that an owner could notice of every module: who, which objects, which bits."""
    seen: dict[str, Any] = {}
    for name, module in network.named_modules():
        for key, value in vars(module).items():
            seen[f"{name}.{key}"] = (id(value), copy.copy(value))
            for inner, held in value.items() if isinstance(value, dict) else ():
                seen[f"{name}.{key}.{inner}"] = id(held)
    for name, tensor in (*network.named_parameters(), *network.named_buffers()):
        bits = tensor.detach().numpy().tobytes()
        facts = (id(tensor), tensor.data_ptr(), tensor.stride(), tensor.requires_grad, tensor.grad)
        seen[f"tensor {name}"] = (*facts, bits)
    return seen


def _owned(kind: type[Remembers]) -> Remembers:
    """Return one in the middle of training: in train mode, a layer frozen, with a hook."""
    network = kind().train()
    network.norm.eval()
    network.conv.requires_grad_(False)
    network.conv.register_forward_hook(_hook)
    return network


@pytest.mark.parametrize("kind", REMEMBER)
def test_exports_and_stays_as_it_was(kind: type[Remembers], tmp_path: Path) -> None:
    network = _owned(kind)
    before = _noticed(network)
    result = export(network, "onnx", output=tmp_path, example_inputs=(IMAGE,))
    assert [each.manifest.inputs[0].shape for each in result.artifacts] == [[1, 3, 8, 12]]
    assert _noticed(network) == before
    again = network.eval()(IMAGE)
    assert type(again) is torch.Tensor
    assert again.dtype == torch.float32


def test_stays_as_it_was_after_a_failed_export(tmp_path: Path) -> None:
    class Fails(MasksBySize):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x).softmax(1).to_sparse()

    network = _owned(Fails)
    before = _noticed(network)
    with pytest.raises(ExportError):
        export(network, "onnx", output=tmp_path, example_inputs=(IMAGE,))
    assert _noticed(network) == before


def test_a_copy_has_no_tensor_of_the_original() -> None:
    network = nn.Sequential(nn.utils.weight_norm(nn.Conv2d(3, 4, 3)), nn.BatchNorm2d(4)).train()
    network.computed = [network[0].weight * 2]
    network.lock = threading.Lock()
    twin = network_copy(network)
    assert not twin.training
    assert network.training
    assert twin.lock is network.lock
    assert twin.computed[0].is_leaf
    assert torch.equal(twin.computed[0], network.computed[0])
    own = {tensor.data_ptr() for tensor in network.state_dict(keep_vars=True).values()}
    assert own.isdisjoint(tensor.data_ptr() for tensor in twin.state_dict(keep_vars=True).values())
    with torch.no_grad():
        assert torch.equal(twin(IMAGE), network.eval()(IMAGE))


def test_a_tensor_under_two_names_stays_one() -> None:
    network = nn.ModuleList([nn.Linear(3, 3), nn.Linear(3, 3)])
    network[1].weight = network[0].weight
    twin = network_copy(network)
    assert twin[1].weight is twin[0].weight
