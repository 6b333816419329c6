"""What a checkpoint records beside its tensors is believed only where it can be true."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torchvision import models

from cnn_export.errors import CheckpointError, UsageError
from cnn_export.source import checkpoint, load_model
from cnn_export.source.networks.model_arguments import parse_arguments, parse_value


@pytest.fixture(scope="module")
def state() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return models.mobilenet_v2(num_classes=3, width_mult=0.25).state_dict()


def _saved(tmp_path: Path, state: dict[str, torch.Tensor], **beside: Any) -> Path:
    path = tmp_path / "net.pt"
    torch.save({"model": state, **beside}, path)
    return path


def _refusal(path: Path, **options: Any) -> str:
    with pytest.raises(CheckpointError) as caught:
        load_model(path, **options)
    assert caught.value.exit_code == 4
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("beside", "said"),
    [
        ({"mean": [0.5, float("nan"), 0.5], "std": [1, 1, 1]}, "nan"),
        ({"mean": [0.5, 0.5, 0.5], "std": [1, float("inf"), 1]}, "inf"),
        ({"mean": [10**400], "std": [1]}, "not finite"),
        ({"mean": [0.5, 0.5, 0.5], "std": [0.2, 0, 0.2]}, "std is not positive"),
        ({"normalization": {"mean": [0.5], "std": [-0.2]}}, "-0.2"),
        ({"mean": [0.5, 0.5], "std": [0.2, 0.2]}, "3 input channels"),
        ({"mean": [0.5, 0.5, 0.5], "std": [0.2]}, "3 input channels"),
        ({"normalization": "0.5,0.5/0.2,0.2"}, "'0.5,0.5/0.2,0.2'"),
        ({"normalization": "nan/1"}, "'nan/1'"),
        ({"normalization": "0.5/0"}, "'0.5/0'"),
        ({"normalization": "imagenet", "input_size": [1, 32, 48]}, "1 input channels"),
    ],
)
def test_impossible_normalization(
    beside: dict[str, Any], said: str, state: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    message = _refusal(_saved(tmp_path, state, **beside))
    assert "records the normalization" in message
    assert said in message


@pytest.mark.parametrize(
    "beside",
    [
        {"normalization": "batchnorm"},
        {"normalization": "1/2/3"},
        {"normalization": "\x1b[2J"},
        {"mean": "dark", "std": [1]},
        {"mean": [True], "std": [1]},
        {"std": [0.2, 0.2, 0.2]},
    ],
)
def test_unreadable_normalization_is_ignored_with_a_note(
    beside: dict[str, Any], state: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    loaded = load_model(_saved(tmp_path, state, **beside))
    assert loaded.normalization is None
    assert any("recorded normalization" in note and "ignored" in note for note in loaded.notes)
    assert not any("\x1b" in note for note in loaded.notes)


def test_normalization_of_as_many_channels_as_the_input(
    state: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    beside = {"input_size": [4, 32, 48], "mean": [0.1, 0.2, 0.3, 0.4], "std": [1, 2, 3, 4]}
    loaded = load_model(_saved(tmp_path, state, **beside))
    assert loaded.normalization == "0.1,0.2,0.3,0.4/1.0,2.0,3.0,4.0"


@pytest.mark.parametrize(
    "recorded", [0, -3, 4097, 10**30, [0, 32], [4097, 1], [1025, 8, 8], [0, 8, 8]]
)
def test_impossible_input_size(
    recorded: Any, state: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    message = _refusal(_saved(tmp_path, state, input_size=recorded))
    assert f"input_size {recorded}" in message


def test_unreadable_input_size_is_said(state: dict[str, torch.Tensor], tmp_path: Path) -> None:
    loaded = load_model(_saved(tmp_path, state, input_size="large"))
    assert loaded.input_size == (3, 224, 224)
    assert any("input_size" in note and "ignored" in note for note in loaded.notes)


@pytest.mark.parametrize(
    ("recorded", "said"),
    [
        ({"depth": 3}, "depth"),
        ({"weights": "DEFAULT"}, "weights"),
        ({"pretrained": True}, "pretrained"),
        ({"a b": 1}, "a b"),
    ],
)
def test_wrong_recorded_argument_is_the_file_s_fault(
    recorded: dict[str, Any], said: str, state: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    path = _saved(tmp_path, state, arch="mobilenet_v2", model_args=recorded)
    message = _refusal(path)
    assert "model_args" in message
    assert said in message
    assert "--model-arg" not in message
    assert load_model(path, model="mobilenet_v2").name == "mobilenet_v2"


@pytest.mark.parametrize(
    ("recorded", "said"),
    [
        ({"num_classes": torch.zeros(2)}, "'num_classes' in its model_args as a Tensor"),
        ({"dropout": {(1, 2): 3}}, "'dropout' in its model_args as a dict"),
        ({"inverted_residual_setting": [[1, 16, 1_000_000, 1]]}, "tensors can show"),
        ({"inverted_residual_setting": [[1, 16, 4000, 1], [1, 16, 4000, 1]]}, "tensors can show"),
        ({"inverted_residual_setting": [[1, 16, 1, 1]] * 300}, "tensors can show"),
        ({"round_nearest": 10**400}, "tensors can show"),
    ],
)
def test_arguments_that_no_such_tensors_come_from(
    recorded: dict[str, Any], said: str, state: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    """Neither an internal error nor a network built for hours."""
    path = _saved(tmp_path, state, args=argparse.Namespace(model_args=recorded))
    message = _refusal(path)
    assert said in message
    assert len(message) < len(str(path)) + 300
    loaded = load_model(path, model="mobilenet_v2")
    assert any("not used" in note for note in loaded.notes)


def test_arguments_recorded_twice(state: dict[str, torch.Tensor], tmp_path: Path) -> None:
    inner = argparse.Namespace(model_args={"round_nearest": 4})
    path = _saved(tmp_path, state, model_args={"round_nearest": 8}, args=inner)
    assert "'round_nearest' of its model_args twice, as 8 and as 4" in _refusal(path)


def test_more_names_and_places_than_a_script_writes(
    state: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    assert "30 names" in _refusal(_saved(tmp_path, state, arch=[f"run_{i}" for i in range(30)]))
    assert "mappings and lists" in _refusal(_saved(tmp_path, state, log=[[]] * 30_000))


def test_what_nobody_foresaw_is_the_file_s_fault(
    state: dict[str, torch.Tensor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint, "network_for", lambda *_: [][1])
    assert "cannot be made sense of: IndexError" in _refusal(_saved(tmp_path, state))


def test_the_user_s_own_wrong_argument_stays_the_user_s(
    state: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    path = _saved(tmp_path, state, arch="mobilenet_v2", model_args={"round_nearest": 8})
    with pytest.raises(UsageError, match="depth"):
        load_model(path, model_args={"depth": "3"})


def test_deeply_nested_metadata_stays_text(state: dict[str, torch.Tensor], tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    save_file(state, path, {"input_size": "[" * 200_000, "note": "kept"})
    loaded = load_model(path)
    assert loaded.input_size == (3, 224, 224)
    assert any("input_size" in note for note in loaded.notes)


@pytest.mark.parametrize("text", ["[" * 200_000, "9" * 5000])
def test_an_argument_too_large_to_read_stays_text(text: str) -> None:
    assert parse_value(text) == text


def test_arguments_may_be_values() -> None:
    given = {"classes": 3, "width": 0.5, "depths": (2, 2), "bias": True, "form": "plain", "n": "4"}
    assert parse_arguments(given) == {**given, "n": 4}
