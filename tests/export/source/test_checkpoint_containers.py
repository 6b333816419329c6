"""Every file format and container gives the network whose state_dict went in."""

from __future__ import annotations

import argparse
import collections
import datetime
import pathlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from safetensors.torch import save_file
from torch import nn

from cnn_export.source import load_model

State = dict[str, torch.Tensor]


def _random_statistics(module: nn.Module, seed: int) -> nn.Module:
    generator = torch.Generator().manual_seed(seed)
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            assert part.running_mean is not None
            assert part.running_var is not None
            part.running_mean.normal_(0, 0.3, generator=generator)
            part.running_var.uniform_(0.5, 2, generator=generator)
            nn.init.uniform_(part.weight, 0.5, 1.5, generator=generator)
            nn.init.normal_(part.bias, 0, 0.2, generator=generator)
    return module.eval()


def _network(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    made = torchvision.models.mobilenet_v2(num_classes=7, width_mult=0.25)
    return _random_statistics(made, seed)


@pytest.fixture(scope="module")
def original() -> nn.Module:
    return _network()


def _outputs(module: nn.Module) -> torch.Tensor:
    images = torch.randn(2, 3, 65, 96, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        return module(images)


def _assert_same(path: Path, original: nn.Module, **options: Any) -> Any:
    loaded = load_model(path, **options)
    assert torch.equal(_outputs(loaded.module), _outputs(original))
    return loaded


CONTAINERS: dict[str, tuple[Callable[[State], Any], str]] = {
    "bare": (lambda s: s, ""),
    "ordered": (lambda s: collections.OrderedDict(s), ""),
    "state_dict": (lambda s: {"state_dict": s, "epoch": 3}, "state_dict"),
    "model_state_dict": (lambda s: {"model_state_dict": s}, "model_state_dict"),
    "model": (lambda s: {"model": s, "arch": "mobilenet_v2"}, "model"),
    "nested": (lambda s: {"model": {"state_dict": s}}, "model.state_dict"),
    "unknown key": (lambda s: {"student": s, "optimizer": {"state": {}}}, "student"),
    "parallel": (lambda s: {f"module.{k}": v for k, v in s.items()}, ""),
    "compiled": (lambda s: {f"_orig_mod.{k}": v for k, v in s.items()}, ""),
    "both": (lambda s: {f"module._orig_mod.{k}": v for k, v in s.items()}, ""),
    "lightning": (lambda s: {"state_dict": {f"model.{k}": v for k, v in s.items()}}, "state_dict"),
    "averaged empty": (lambda s: {"model_ema": None, "model": s}, "model"),
}


@pytest.mark.parametrize("kind", CONTAINERS)
def test_container(kind: str, original: nn.Module, tmp_path: Path) -> None:
    wrap, container = CONTAINERS[kind]
    path = tmp_path / "net.pth.tar"
    torch.save(wrap(original.state_dict()), path)
    loaded = _assert_same(path, original)
    assert loaded.container == container
    assert loaded.name == "mobilenet_v2"
    assert loaded.arguments == {"num_classes": 7, "width_mult": 0.25}
    assert not loaded.module.training
    assert ("prefix 'model.'" in " ".join(loaded.notes)) == (kind == "lightning")


def _averaged(state: State, prefix: str) -> State:
    return {"n_averaged": torch.tensor(9), **{f"{prefix}{k}": v for k, v in state.items()}}


@pytest.mark.parametrize(
    ("key", "wrap"),
    [
        ("state_dict_ema", lambda s: s),
        ("model_ema", lambda s: _averaged(s, "module.")),
        ("model_ema", lambda s: _averaged(s, "module.module.")),
        ("ema", lambda s: {"module": s, "decay": 0.999}),
    ],
    ids=["timm", "torchvision", "torchvision parallel", "nested"],
)
def test_averaged_weights_are_preferred_and_said(
    key: str, wrap: Callable[[State], Any], original: nn.Module, tmp_path: Path
) -> None:
    raw = _network(seed=1)
    assert not torch.equal(_outputs(raw), _outputs(original))
    path = tmp_path / "net.pth"
    torch.save({"state_dict": raw.state_dict(), key: wrap(original.state_dict())}, path)
    loaded = _assert_same(path, original)
    assert loaded.container.startswith(key)
    assert any(f"'{key}" in note and "'state_dict'" in note for note in loaded.notes)


def test_training_leftovers_are_harmless(original: nn.Module, tmp_path: Path) -> None:
    optimizer = torch.optim.SGD(original.parameters(), lr=0.1, momentum=0.9)
    leftovers = {
        "state_dict": original.state_dict(),
        "optimizer": optimizer.state_dict(),
        "args": argparse.Namespace(lr=0.1, input_size=[3, 65, 96], out=pathlib.Path("runs")),
        "best": np.float64(0.7),
        "best_half": np.float32(0.7),
        "count": np.int64(4),
        "curve": np.arange(4.0),
        "when": datetime.datetime(2021, 8, 1),
    }
    path = tmp_path / "net.pth.tar"
    torch.save(leftovers, path)
    allowed_before = torch.serialization.get_safe_globals()
    loaded = _assert_same(path, original)
    assert loaded.input_size == (3, 65, 96)
    assert torch.serialization.get_safe_globals() == allowed_before
    assert argparse.Namespace not in allowed_before


def test_legacy_torch_file(original: nn.Module, tmp_path: Path) -> None:
    path = tmp_path / "net.pth"
    torch.save(original.state_dict(), path, _use_new_zipfile_serialization=False)
    _assert_same(path, original)


def test_safetensors_and_its_metadata(original: nn.Module, tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    header = {"input_size": "[3, 65, 96]", "mean": "[0.5, 0.5, 0.5]", "std": "[0.25, 0.25, 0.25]"}
    save_file(original.state_dict(), path, header)
    loaded = _assert_same(path, original)
    assert loaded.input_size == (3, 65, 96)
    assert loaded.normalization == "0.5,0.5,0.5/0.25,0.25,0.25"


@pytest.mark.parametrize(
    ("beside", "normalization"),
    [
        ({"normalization": "imagenet"}, "imagenet"),
        ({"normalization": {"mean": [0.305], "std": [0.324]}}, "0.305/0.324"),
        ({"mean": [0.485, 0.456, 0.406], "std": (0.229, 0.224, 0.225)}, "imagenet"),
        ({"args": argparse.Namespace(mean=[0.1], std=[1])}, "0.1/1.0"),
        ({"mean": np.ones(3), "std": [1]}, None),
        ({}, None),
    ],
)
def test_recorded_normalization(
    beside: dict[str, Any], normalization: str | None, original: nn.Module, tmp_path: Path
) -> None:
    path = tmp_path / "net.pt"
    torch.save({"model": original.state_dict(), **beside}, path)
    assert load_model(path).normalization == normalization


@pytest.mark.parametrize(
    ("recorded", "size"),
    [
        (160, (3, 160, 160)),
        ((96, 64), (3, 96, 64)),
        ([1, 32, 48], (1, 32, 48)),
        ("large", (3, 224, 224)),
        ([1, 3, 32, 48], (3, 224, 224)),
        ([32.0, 48.0], (3, 224, 224)),
        ((1024, 4096, 1), (1024, 4096, 1)),
        (True, (3, 224, 224)),
    ],
)
def test_recorded_input_size(
    recorded: Any, size: tuple[int, int, int], original: nn.Module, tmp_path: Path
) -> None:
    path = tmp_path / "net.pt"
    torch.save({"model": original.state_dict(), "input_size": recorded}, path)
    assert load_model(path).input_size == size


def test_content_decides_not_the_suffix(original: nn.Module, tmp_path: Path) -> None:
    as_torch, as_safetensors = tmp_path / "a.safetensors", tmp_path / "b.pt"
    torch.save(original.state_dict(), as_torch)
    save_file(original.state_dict(), as_safetensors)
    _assert_same(as_torch, original)
    _assert_same(as_safetensors, original)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_float_types_become_float32_with_a_note(
    dtype: torch.dtype, original: nn.Module, tmp_path: Path
) -> None:
    state = original.state_dict()
    stored = {k: v.to(dtype) if v.is_floating_point() else v for k, v in state.items()}
    expected = _network(seed=5)
    expected.load_state_dict(stored)
    path = tmp_path / "net.pt"
    torch.save(stored, path)
    loaded = _assert_same(path, expected)
    assert all(p.dtype is torch.float32 for p in loaded.module.parameters())
    assert f"{str(dtype).removeprefix('torch.')} weights converted to float32" in loaded.notes


def test_missing_counters_are_tolerated_and_said(original: nn.Module, tmp_path: Path) -> None:
    state = {k: v for k, v in original.state_dict().items() if "num_batches" not in k}
    path = tmp_path / "net.pt"
    torch.save(state, path)
    loaded = _assert_same(path, original)
    assert any(note.startswith("52 num_batches_tracked") for note in loaded.notes)


def test_source_digest_is_the_file_s(original: nn.Module, tmp_path: Path) -> None:
    import subprocess

    path = tmp_path / "net.pt"
    torch.save(original.state_dict(), path)
    told = subprocess.run(["sha256sum", str(path)], capture_output=True, text=True, check=True)
    assert load_model(path).source_sha256 == told.stdout.split()[0]


def test_nothing_is_left_without_memory(original: nn.Module, tmp_path: Path) -> None:
    path = tmp_path / "net.pt"
    torch.save(original.state_dict(), path)
    module = load_model(path).module
    tensors = [*module.parameters(), *module.buffers()]
    assert len(tensors) == 314
    assert not any(tensor.is_meta for tensor in tensors)


def test_changing_the_network_leaves_the_file_alone(original: nn.Module, tmp_path: Path) -> None:
    path = tmp_path / "net.pt"
    torch.save(original.state_dict(), path)
    before = path.read_bytes()
    with torch.no_grad():
        for parameter in load_model(path).module.parameters():
            parameter.add_(1)
    assert path.read_bytes() == before
    _assert_same(path, original)
