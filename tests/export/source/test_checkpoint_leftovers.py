"""Files that hold more than the network: used where that is safe and said, else refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from checkpoint_trees import Tiny, load_tree, same, tiny_state
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils import prune
from torchvision import models

from cnn_export.errors import CheckpointError, ExportError

STATE = tiny_state(4)
COUNT = torch.zeros(1, dtype=torch.float64)


def _refusal(tree: Any, model: str | None = "checkpoint_trees:Tiny") -> str:
    with pytest.raises(CheckpointError) as caught:
        load_tree(tree, model=model)
    message = str(caught.value)
    assert "\n" not in message
    assert "whole checkpoint" not in message
    return message


@pytest.mark.parametrize(
    "prefix",
    [
        "",
        "model.",
        "module.",
        "module.model.",
        "model.module.",
        "model._orig_mod.",
        "_orig_mod.module.net.",
    ],
)
@pytest.mark.parametrize(
    "beside",
    [
        {},
        {"total_ops": COUNT, "stem.total_params": COUNT},
        {"criterion.weight": torch.ones(7), "val_acc.tp": torch.zeros(7)},
        {"loss_fn.vgg.0.weight": torch.ones(8, 3, 3, 3), "class_weights": torch.ones(2)},
        {"val_acc.nan": torch.tensor(float("nan"))},
    ],
)
def test_loss_metric_and_profiler(prefix: str, beside: dict[str, torch.Tensor]) -> None:
    inner = {f"{prefix}{k}": v for k, v in STATE.items()}
    profiled = {k for k in beside if "total" in k}
    outer = {f"{prefix if k in profiled else ''}{k}": v for k, v in beside.items()}
    loaded = load_tree({"state_dict": {**inner, **outer}})
    assert same(loaded.state, STATE)
    assert all(k in loaded.notes for k in beside)


@pytest.mark.parametrize("prefix", ["", "model."])
@pytest.mark.parametrize(
    "name", ["head.bias", "stem.extra.weight", "conv9.weight", "norm.loss", "neck.0.weight"]
)
def test_what_could_be_the_network_s_is_refused(prefix: str, name: str) -> None:
    inner = {f"{prefix}{k}": v for k, v in STATE.items()}
    message = _refusal({"state_dict": {**inner, f"{prefix}{name}": torch.ones(5)}})
    assert f"1 unexpected: {name}" in message


def test_a_head_beside_the_network_is_refused_with_the_way_out() -> None:
    tree = {**{f"model.{k}": v for k, v in STATE.items()}, "head.weight": torch.ones(4, 2)}
    message = _refusal(tree)
    assert "fits the tensors under 'model.'" in message
    assert "also holds head.weight" in message
    assert same(load_tree(tree, key="model").state, STATE)


def test_leftovers_do_not_make_up_for_what_is_missing() -> None:
    rest = {k: v for k, v in STATE.items() if k != "head.weight"}
    with pytest.raises(CheckpointError, match=r"1 of 8 tensors missing: head\.weight"):
        load_tree({**rest, "loss.head.weight": STATE["head.weight"]})


def test_pruned_weights_are_multiplied() -> None:
    torch.manual_seed(1)
    network = Tiny()
    prune.random_unstructured(network.stem, "weight", 0.5)
    prune.random_unstructured(network.head, "weight", 0.5)
    saved = dict(network.state_dict())
    loaded = load_tree(saved)
    assert "2 pruned tensors are original times mask" in loaded.notes
    for layer in (network.stem, network.head):
        prune.remove(layer, "weight")
    assert same(loaded.state, dict(network.state_dict()))


def _odd(name: str) -> dict[str, Any]:
    rest = {k: v for k, v in STATE.items() if k != "stem.weight"}
    weight, ones = STATE["stem.weight"], torch.ones(5)
    return {
        "quantization": {**STATE, "stem.weight_fake_quant.scale": torch.ones(1)},
        "observer": {**STATE, "stem.activation_post_process.min_val": torch.ones(1)},
        "weight norm": {**rest, "stem.weight_g": ones, "stem.weight_v": weight},
        "parametrized": {
            **rest,
            "stem.parametrizations.weight.original0": ones,
            "stem.parametrizations.weight.original1": weight,
        },
        "spectral norm": {**rest, "stem.weight_orig": weight, "stem.weight_u": ones},
        "lora": {**STATE, "stem.lora_A": ones, "stem.lora_B": ones},
        "mask": {**rest, "stem.weight_mask": weight},
        "array": {**rest, "stem.weight": weight.numpy()},
    }[name]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("quantization", "export the float checkpoint"),
        ("observer", "quantization-aware training"),
        ("weight norm", "remove_weight_norm"),
        ("parametrized", "remove_parametrizations"),
        ("spectral norm", "remove_spectral_norm"),
        ("lora", "merge them before saving"),
        ("mask", "pruning mask"),
        ("array", "stem.weight is a ndarray, no tensor"),
    ],
)
def test_advice_fits(name: str, said: str) -> None:
    assert said in _refusal({"state_dict": _odd(name)})


def test_advice_fits_recognised_networks_too() -> None:
    state = dict(models.squeezenet1_1(num_classes=3).state_dict())
    message = _refusal({**state, "features.0.extra": torch.ones(2)}, model=None)
    assert "looks like squeezenet1_1" in message
    assert "save the network's tensors alone" in message
    message = _refusal({**state, "features.0.lora_A": torch.ones(2)}, model=None)
    assert "merge them" in message


def test_entries_that_are_no_tensors_are_said() -> None:
    beside = {"version": 3, "name": "net", "mean": np.ones(3), "none": None}
    loaded = load_tree({"state_dict": {**STATE, **beside}})
    assert same(loaded.state, STATE)
    assert "3 entries that are no tensors not used: version, name, mean" in loaded.notes
    assert load_tree({**STATE, "epoch": 3}).notes == ""


def test_state_of_modules_that_the_network_lacks() -> None:
    message = _refusal({"state_dict": {**STATE, "stem._extra_state": {"scale": 3.0}}})
    assert "stem._extra_state, which Tiny does not take" in message


def test_published_densenet_names() -> None:
    original = models.densenet121(num_classes=3)
    for part in original.modules():
        if isinstance(part, nn.BatchNorm2d):
            nn.init.uniform_(part.weight, 0.5, 1.5)
            part.running_var.uniform_(0.5, 2)
    state = dict(original.state_dict())
    old = {
        k.replace("norm1.", "norm.1.")
        .replace("norm2.", "norm.2.")
        .replace("conv1.", "conv.1.")
        .replace("conv2.", "conv.2.")
        if "denselayer" in k
        else k: v
        for k, v in state.items()
        if "num_batches" not in k
    }
    assert "features.denseblock1.denselayer1.norm.1.weight" in old
    loaded = load_tree(old, model=None)
    assert loaded.name.startswith("densenet121")
    assert same(loaded.state, state)
    assert "first DenseNet files" in loaded.notes


NAMES = [k for k in STATE if "num_batches" not in k]


@settings(max_examples=150)
@given(
    st.sampled_from(["", "model.", "module.", "module.model."]),
    st.lists(st.sampled_from(NAMES), max_size=2, unique=True),
    st.dictionaries(
        st.sampled_from(
            [
                "loss.weight",
                "total_ops",
                "neck.weight",
                "stem.weight_mask",
                "ema.stem.weight",
                "head.weight_g",
                "n_averaged",
                "acc.tp",
                "norm.scale",
                "stem.weight_orig",
            ]
        ),
        st.sampled_from(
            [torch.ones(1), torch.ones(5, 3, 3, 3), torch.tensor(2), None, "text", 3.0, np.ones(2)]
        ),
        max_size=3,
    ),
)
def test_whatever_is_beside_or_missing(
    prefix: str, missing: list[str], beside: dict[str, Any]
) -> None:
    """The very tensors of the file under the network's names, or one line; nothing else."""
    kept = {f"{prefix}{k}": v for k, v in STATE.items() if k not in missing}
    try:
        loaded = load_tree({"state_dict": {**kept, **beside}})
    except ExportError as error:
        said = str(error)
        assert missing or beside, said
        return
    assert not missing or set(missing) <= {"stem.weight"}
    if not missing:
        assert same(loaded.state, STATE)
    assert not {"neck.weight", "norm.scale"} & {
        k for k, v in beside.items() if isinstance(v, torch.Tensor)
    }
