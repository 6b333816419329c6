"""ResNet-18 with asymmetric blocks: recognised, loaded in both forms, equal to its origin."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from networks import randomize_batch_norm
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_weights
from torchvision import models

from cnn_export.errors import CheckpointError
from cnn_export.models.families.resnet18_acb import resnet18_acb
from cnn_export.models.families.resnet18_acb_table import detect
from cnn_export.source import load_model


def trained_like(network: nn.Module) -> nn.Module:
    torch.manual_seed(9)
    randomize_batch_norm(network)
    return network.eval()


def fused_state(network: nn.Module) -> dict[str, torch.Tensor]:
    """Return the deployed tensors of a plain ResNet-18, folded by torch's own arithmetic."""
    state = {
        name: tensor
        for name, tensor in network.state_dict().items()
        if name.startswith("fc.") or ".downsample." in name
    }
    modules = dict(network.named_modules())
    for name, conv in modules.items():
        if isinstance(conv, nn.Conv2d) and "downsample" not in name:
            norm = modules[name.replace("conv", "bn")]
            weight, bias = fuse_conv_bn_weights(
                *(conv.weight, conv.bias, norm.running_mean, norm.running_var),
                *(norm.eps, norm.weight, norm.bias),
            )
            state[f"{name}.fused_conv.weight"] = weight.detach()
            state[f"{name}.fused_conv.bias"] = bias.detach()
    return state


def test_a_trained_checkpoint_is_recognised_and_loaded(tmp_path: Path):
    network = trained_like(resnet18_acb(classes=5, in_channels=1))
    torch.save(
        {"state_dict": {f"module.{k}": v for k, v in network.state_dict().items()}},
        tmp_path / "a.pth",
    )
    loaded = load_model(tmp_path / "a.pth")
    assert loaded.name == "resnet18_acb"
    assert loaded.arguments == {"classes": 5, "in_channels": 1, "deploy": False}
    images = torch.randn(1, 1, 41, 50)
    with torch.no_grad():
        assert torch.equal(loaded.module(images), network(images))


def test_a_deployed_checkpoint_is_recognised_and_loaded(tmp_path: Path):
    network = trained_like(models.resnet18(num_classes=4))
    torch.save(fused_state(network), tmp_path / "deployed.pth")
    loaded = load_model(tmp_path / "deployed.pth")
    assert loaded.arguments == {"classes": 4, "in_channels": 3, "deploy": True}
    images = torch.randn(1, 3, 64, 47)
    with torch.no_grad():
        torch.testing.assert_close(loaded.module(images), network(images), rtol=1e-4, atol=1e-4)


def test_official_names_stand_inside_torchvision_s():
    with torch.device("meta"):
        names = set(resnet18_acb().state_dict())
    assert {f"layer3.1.conv2.{part}_conv.weight" for part in ("square", "ver", "hor")} <= names
    assert "layer3.1.conv2.hor_bn.running_mean" in names
    assert "layer3.0.downsample.0.weight" in names
    assert not any(name.startswith("layer3.1.bn") for name in names)
    assert sum(name.endswith("square_conv.weight") for name in names) == 17


def test_other_networks_are_not_taken_for_it():
    with torch.device("meta"):
        plain = models.resnet18().state_dict()
        deeper = resnet18_acb().state_dict()
    assert detect({k: tuple(v.shape) for k, v in plain.items()}) is None
    shapes = {k: tuple(v.shape) for k, v in deeper.items()}
    assert detect(shapes | {"layer4.2.conv1.square_conv.weight": (512, 512, 3, 3)}) is None


def test_a_missing_branch_is_named(tmp_path: Path):
    state = resnet18_acb(classes=2).state_dict()
    del state["layer2.0.conv1.hor_conv.weight"]
    torch.save(state, tmp_path / "cut.pth")
    with pytest.raises(CheckpointError, match=r"missing: layer2\.0\.conv1\.hor_conv\.weight"):
        load_model(tmp_path / "cut.pth")


@pytest.mark.parametrize("arguments", [{"classes": 0}, {"in_channels": 0}])
def test_nonsense_sizes_are_refused(arguments):
    with pytest.raises(ValueError, match="needs classes and in_channels"):
        resnet18_acb(**arguments)


def test_the_former_name_is_still_read_where_the_tensors_fit(tmp_path: Path):
    network = trained_like(resnet18_acb(classes=2))
    recorded = {"arch": "acnet_resnet18", "model_args": {"classes": 2}}
    torch.save({"state_dict": network.state_dict(), **recorded}, tmp_path / "old.pth")
    loaded = load_model(tmp_path / "old.pth")
    assert loaded.name == "resnet18_acb"
    assert not [note for note in loaded.notes if "acnet" in note]
