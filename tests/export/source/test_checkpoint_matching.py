"""Tensors that do not match are counted and named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision
from torch import nn

from cnn_export.errors import CheckpointError
from cnn_export.source import load_model
from cnn_export.source.filling.filling import fill
from cnn_export.source.networks.building import build_empty


@pytest.fixture(scope="module")
def state() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return torchvision.models.mobilenet_v2(num_classes=7, width_mult=0.25).state_dict()


def _refusal(content: Any, path: Path, **options: Any) -> str:
    torch.save(content, path)
    with pytest.raises(CheckpointError) as caught:
        load_model(path, **options)
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize("first", [True, False], ids=["first half", "second half"])
def test_half_the_tensors(first: bool, state: dict[str, torch.Tensor], tmp_path: Path) -> None:
    names = list(state)
    kept = names[:157] if first else names[157:]
    message = _refusal({name: state[name] for name in kept}, tmp_path / "net.pt")
    lost = [n for n in names if n not in kept and "num_batches" not in n]
    assert "looks like mobilenet_v2 (width_mult=0.25" in message
    assert f"{len(lost)} of 314 tensors missing: {lost[0]}, {lost[1]}, {lost[2]}" in message
    assert f"and {len(lost) - 3} more" in message


def test_one_missing(state: dict[str, torch.Tensor], tmp_path: Path) -> None:
    rest = {k: v for k, v in state.items() if k != "features.5.conv.1.1.running_var"}
    message = _refusal(rest, tmp_path / "net.pt")
    assert "1 of 314 tensors missing: features.5.conv.1.1.running_var" in message


def test_one_unexpected(state: dict[str, torch.Tensor], tmp_path: Path) -> None:
    message = _refusal({**state, "features.5.extra": torch.zeros(3)}, tmp_path / "net.pt")
    assert "1 unexpected: features.5.extra" in message


def test_one_of_another_shape(state: dict[str, torch.Tensor], tmp_path: Path) -> None:
    name = "features.5.conv.2.weight"
    narrowed = {**state, name: state[name][:, :-1]}
    message = _refusal(narrowed, tmp_path / "net.pt")
    assert f"1 of another shape: {name} is 8x47x1x1, the network's 8x48x1x1" in message


@pytest.mark.parametrize("model", [None, "mobilenet_v2", "torchvision:mobilenet_v2"])
def test_wrong_class_count(
    model: str | None, state: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    message = _refusal(state, tmp_path / "net.pt", model=model, model_args={"classes": "10"})
    assert "the tensors show num_classes=7, --model-arg asks for 10" in message
    assert "classifier.1.weight is 7x1280, the network's 10x1280" in message


def test_wrong_network(state: dict[str, torch.Tensor], tmp_path: Path) -> None:
    message = _refusal(state, tmp_path / "net.pt", model="resnet18")
    assert "does not match resnet18" in message
    assert "missing: conv1.weight" in message
    assert "unexpected: features.0.0.weight" in message


def test_unknown_network(tmp_path: Path) -> None:
    content = {"arch": "zebranet", "state_dict": {"stripes.weight": torch.zeros(3)}}
    message = _refusal(content, tmp_path / "net.pt")
    assert "no known network has these 1 tensors (stripes.weight" in message
    assert "calls it 'zebranet'" in message
    assert "--model" in message


class _Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(5, 5, bias=False)
        self.second = nn.Linear(5, 5, bias=False)
        self.second.weight = self.first.weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.second(torch.relu(self.first(x)))


@pytest.mark.parametrize("stored", [("first", "second"), ("first",), ("second",)])
def test_tied_weights(stored: tuple[str, ...], tmp_path: Path) -> None:
    original, path = _Tied(), tmp_path / "net.pt"
    whole = original.state_dict()
    torch.save({f"{name}.weight": whole[f"{name}.weight"] for name in stored}, path)
    loaded = load_model(path, model=f"{__name__}:_Tied")
    x = torch.randn(3, 5)
    assert torch.equal(loaded.module(x), original(x))


class _Hidden(nn.Module):
    """Keeps what no checkpoint holds: a buffer and an attribute made with ``torch.empty``."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(2, 2)
        self.register_buffer("scale", torch.empty(2).fill_(3.0), persistent=False)
        self.shift = torch.empty(2).fill_(5.0)


def test_networks_with_memory_of_their_own_are_not_left_empty() -> None:
    tensors = {"layer.weight": torch.ones(2, 2), "layer.bias": torch.ones(2)}
    assert fill(build_empty(_Hidden, {}), tensors) is None
    filled = fill(_Hidden(), tensors)
    assert filled is not None
    assert torch.equal(filled.get_buffer("scale"), torch.full((2,), 3.0))
