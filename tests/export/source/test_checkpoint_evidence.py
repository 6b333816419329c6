"""What a checkpoint says about its network is weighed against what its tensors fit."""

from __future__ import annotations

import argparse
from typing import Any

import pytest
import torch
from checkpoint_trees import Loaded, State, load_tree
from torch import nn
from torchvision import models

from cnn_export.command_line.packages import install_line
from cnn_export.errors import CheckpointError
from cnn_export.models.key_map import KeyMap, Mapped, Rule
from cnn_export.source.networks import timm_models
from cnn_export.source.recognition import mapping, recognise, recorded_network_names

timm = pytest.importorskip("timm")
_SHAPES_ONLY = "no stride, dilation, activation or pooling"


@pytest.fixture(scope="module")
def state() -> State:
    torch.manual_seed(3)
    network = models.resnet18(num_classes=4)
    for part in network.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.running_mean.normal_(0, 0.2)
            part.running_var.uniform_(0.5, 2)
    return dict(network.state_dict())


def _assert_computes(loaded: Loaded, original: nn.Module, state: State) -> None:
    original.load_state_dict(state)
    images = torch.randn(1, 3, 65, 97)
    with torch.no_grad():
        assert torch.equal(loaded.module(images), original.eval()(images))


def _refusal(tree: Any, **options: Any) -> str:
    with pytest.raises(CheckpointError) as caught:
        load_tree(tree, model=None, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


BLURRED = (
    {"arch": "timm/ResNetBlur18.my_tag"},
    {"args": argparse.Namespace(model="resnetblur18", arch=None)},
    {"hyper_parameters": {"model_name": "resnetblur18", "lr": 0.1}},
    {"config": {"model": {"name": "resnetblur18"}}},
    {"opt": argparse.Namespace(run=[{"arch": "resnetblur18"}])},
    {"meta": {"model": {"type": "resnetblur18"}}, "arch": None},
    {"arch": ["resnetblur18"]},
)


@pytest.mark.parametrize("beside", BLURRED)
def test_a_recorded_network_with_the_same_tensors_is_used(
    beside: dict[str, Any], state: State
) -> None:
    """A blurred ResNet has a ResNet's tensors, and is far from it."""
    loaded = load_tree({"state_dict": state, **beside}, model=None)
    assert loaded.name == "timm:resnetblur18 (num_classes=4)"
    assert "in place of resnet18" in loaded.notes
    assert _SHAPES_ONLY not in loaded.notes
    _assert_computes(loaded, timm.create_model("resnetblur18", num_classes=4), state)


def test_it_is_compared_under_the_mapped_names(
    state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    rules = (Rule(r"^head\.", "fc."),)
    resnet = Mapped("torchvision:resnet18")
    layout = KeyMap("nobody", "", rules, lambda s: [resnet] if "head.bias" in s else [])
    monkeypatch.setattr(mapping, "key_maps", lambda: (layout,))
    theirs = {name.replace("fc.", "head."): value for name, value in state.items()}
    loaded = load_tree({"state_dict": theirs, "arch": "resnetblur18"}, model=None)
    assert loaded.name == "timm:resnetblur18 (num_classes=4)"
    assert "names as in nobody" in loaded.notes
    _assert_computes(loaded, timm.create_model("resnetblur18", num_classes=4), state)


@pytest.mark.parametrize("key", ["model", "network"])
def test_weights_under_the_key_of_a_name_do_not_hide_it(key: str, state: State) -> None:
    loaded = load_tree(
        {key: state, "args": argparse.Namespace(**{key: "resnetblur18"})}, model=None
    )
    assert loaded.name == "timm:resnetblur18 (num_classes=4)"


@pytest.mark.parametrize(
    "beside",
    [
        {"model_kwargs": None, "args": argparse.Namespace(model_kwargs={"output_stride": 8})},
        {"arch": "resnet18", "args": argparse.Namespace(model_kwargs={"output_stride": 8})},
        {"model_kwargs": {"output_stride": 8}},
    ],
)
def test_recorded_arguments_are_used(beside: dict[str, Any], state: State) -> None:
    loaded = load_tree({"state_dict": state, **beside}, model=None)
    assert loaded.name == "timm:resnet18 (num_classes=4, output_stride=8)"
    _assert_computes(loaded, timm.create_model("resnet18", num_classes=4, output_stride=8), state)


def test_options_of_timm_s_script_are_used(state: State) -> None:
    options = argparse.Namespace(model="resnet18", gp="max", bn_eps=None, bn_tf=False)
    loaded = load_tree({"state_dict": state, "arch": "resnet18", "args": options}, model=None)
    _assert_computes(loaded, timm.create_model("resnet18", num_classes=4, global_pool="max"), state)


@pytest.mark.parametrize("name", ["ResNet-18", "torchvision.models.resnet18"])
def test_a_name_that_agrees(name: str, state: State) -> None:
    """With four classes it is trained anew; where, the name does not say, nor the strides there."""
    loaded = load_tree({"state_dict": state, "arch": name}, model=None)
    assert loaded.name == "resnet18 (num_classes=4)"
    assert "calls itself" not in loaded.notes
    assert _SHAPES_ONLY in loaded.notes


def test_a_name_that_agrees_says_all_of_the_published_network() -> None:
    whole = dict(models.resnet18().state_dict())
    loaded = load_tree({"state_dict": whole, "arch": "resnet18"}, model=None)
    assert (loaded.name, loaded.notes) == ("resnet18 (num_classes=1000)", "")


@pytest.mark.parametrize("name", ["run_7", "ResNet", "x" * 300])
def test_a_name_that_nobody_knows_is_a_note(name: str, state: State) -> None:
    loaded = load_tree({"state_dict": state, "arch": name}, model=None)
    assert loaded.name == "resnet18 (num_classes=4)"
    assert f"calls itself '{name[:80]}" in loaded.notes
    assert _SHAPES_ONLY in loaded.notes


def test_shapes_alone_say_what_they_cannot_show(state: State) -> None:
    assert _SHAPES_ONLY in load_tree({"state_dict": state}, model=None).notes


@pytest.mark.parametrize(
    ("beside", "said"),
    [
        ({"arch": "resnet34"}, "itself 'resnet34', but its tensors are those of resnet18"),
        ({"arch": "swin_t"}, "itself 'swin_t', but its tensors are those of resnet18"),
        ({"arch": "mobilenetv2_100"}, "itself 'mobilenetv2_100', but its tensors"),
        ({"arch": "resnet18", "model": "resnetblur18"}, "--model resnet18 or --model timm:"),
        ({"arch": "resnetblur18", "model_kwargs": {"depth": 3}}, "'depth'"),
        ({"model_args": {"depth": 3}}, "'depth'"),
    ],
)
def test_a_contradiction_is_refused_with_both_names(
    beside: dict[str, Any], said: str, state: State
) -> None:
    assert said in _refusal({"state_dict": state, **beside})


def test_the_user_s_word_stands_and_the_file_s_is_told(state: State) -> None:
    tree = {"state_dict": state, "arch": "resnetblur18", "model_kwargs": {"output_stride": 8}}
    loaded = load_tree(tree, model="resnet18")
    assert "calls itself 'resnetblur18'; --model names resnet18" in loaded.notes
    assert "(output_stride=8) are not used" in loaded.notes
    _assert_computes(loaded, models.resnet18(num_classes=4), state)


@pytest.fixture
def _no_timm(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (recorded_network_names, recognise, timm_models):
        monkeypatch.setattr(module, "is_installed", lambda: False)


@pytest.mark.usefixtures("_no_timm")
def test_without_timm_a_variant_s_name_is_not_taken_for_the_plain_network(state: State) -> None:
    message = _refusal({"state_dict": state, "arch": "resnetblur18"})
    assert install_line(["timm"]) in message
    assert "--model resnet18" in message
    loaded = load_tree({"state_dict": state, "arch": "run_7"}, model=None)
    assert "timm is not installed" in loaded.notes
    assert "calls" not in load_tree({"state_dict": state, "arch": "resnet18"}, model=None).notes


@pytest.mark.usefixtures("_no_timm")
def test_without_timm_an_unknown_network_says_who_may_know() -> None:
    tree = {"arch": "ghostnet_100", "state_dict": {"stem.weight": torch.ones(2, 2)}}
    assert "timm, which may know it, is not installed" in _refusal(tree)
