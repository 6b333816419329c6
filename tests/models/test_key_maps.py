"""Key maps give every tensor one name of the network, and say nothing about other layouts."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from cnn_export.errors import CheckpointError, TargetUnavailable
from cnn_export.models.key_map import KeyMap, Mapped, Rule, key_maps
from cnn_export.source import load_model

sys.path.insert(0, str(Path(__file__).parent / "official"))
import official_files

LAYOUTS = {
    "mobileone": ("apple/ml-mobileone", ["timm:mobileone_s0"]),
    "mobileone_s4_deploy": ("apple/ml-mobileone", ["timm:mobileone_s4"]),
    "tv_dense_old": ("torchvision's first DenseNet files", ["torchvision:densenet121"]),
    "eff_dense": ("gpleiss/efficient_densenet_pytorch", ["torchvision:densenet121"]),
    "dli_mbv2": ("d-li14/mobilenetv2.pytorch", ["torchvision:mobilenet_v2"]),
    "repvit_m0_9": ("THU-MIG/RepViT", ["timm:repvit_m0_9"]),
    "repvit_m0_6_deploy": ("THU-MIG/RepViT", ["timm:repvit_m0_9"]),
    "hw_ghostv3_deploy": ("huawei-noah/Efficient-AI-Backbones", ["timm:ghostnetv3_050"]),
    "hw_ghostv3": ("huawei-noah/Efficient-AI-Backbones", ["timm:ghostnetv3_050"]),
    "dli_mbv2_0.1": ("d-li14/mobilenetv2.pytorch", ["torchvision:mobilenet_v2"]),
}
"""Whose names an official file has, and the networks that its map says."""


@pytest.mark.parametrize("file", sorted(f.stem for f in official_files.FOLDER.glob("keys/*.json")))
def test_a_map_speaks_of_its_own_layout_only(file: str) -> None:
    shapes = official_files.keys(file).tensors
    spoken = [(m.layout, networks) for m in key_maps() if (networks := _networks(m, shapes))]
    assert spoken == ([LAYOUTS[file]] if file in LAYOUTS else [])


def _networks(key_map: KeyMap, shapes: dict[str, tuple[int, ...]]) -> list[str]:
    return [mapped.network for mapped in key_map.detect(shapes)]


def _map(*rules: Rule) -> KeyMap:
    return KeyMap("nobody", "here", rules, lambda _shapes: [Mapped("timm:resnet18")])


def test_rules_are_applied_in_their_order() -> None:
    renamed = _map(Rule(r"^a\.", "b."), Rule(r"\.x$", ".y")).renamed(["a.x", "c"])
    assert renamed == {"a.x": "b.y", "c": "c"}


def test_two_tensors_of_one_name_are_no_network() -> None:
    assert _map(Rule("[ab]", "c")).renamed(["a", "b"]) is None


@pytest.fixture(scope="module")
def state() -> dict[str, torch.Tensor]:
    return official_files.trained_like(official_files.keys("dli_mbv2_0.1").tensors)


def _load(content: Any, folder: Path, **asked: Any) -> Any:
    torch.save(content, folder / "file.pth")
    return load_model(folder / "file.pth", **asked)


def test_the_network_is_told_and_whose_names_it_has(state, tmp_path: Path) -> None:
    loaded = _load({"state_dict": {f"module.{k}": v for k, v in state.items()}}, tmp_path)
    assert loaded.name == "mobilenet_v2"
    assert any("d-li14/mobilenetv2.pytorch" in note for note in loaded.notes)
    values = loaded.module.state_dict()
    assert torch.equal(values["features.1.conv.1.weight"], state["features.1.conv.3.weight"])
    assert torch.equal(values["features.18.0.weight"], state["conv.0.weight"])


def test_a_recorded_name_is_heard(state, tmp_path: Path) -> None:
    loaded = _load({"state_dict": state, "arch": "mobilenetv2"}, tmp_path)
    assert not any("calls itself" in note for note in loaded.notes)
    assert any("alone decided" in note for note in loaded.notes)  # the strides are not in a name
    with pytest.raises(CheckpointError, match="calls itself 'resnet18'"):
        _load({"state_dict": state, "arch": "resnet18"}, tmp_path)


def test_the_network_may_be_named(state, tmp_path: Path) -> None:
    loaded = _load(state, tmp_path, model="torchvision:mobilenet_v2")
    assert any("d-li14/mobilenetv2.pytorch" in note for note in loaded.notes)
    with pytest.raises(CheckpointError, match="does not match resnet18"):
        _load(state, tmp_path, model="resnet18")


def test_every_tensor_is_used(state, tmp_path: Path) -> None:
    short = {k: v for k, v in state.items() if k != "features.7.conv.4.weight"}
    with pytest.raises(CheckpointError, match=r"mobilenet_v2.*1 of 3\d\d tensors missing: feat"):
        _load(short, tmp_path)
    with pytest.raises(CheckpointError, match=r"1 unexpected: features\.7\.conv\.9"):
        _load({**state, "features.7.conv.9": torch.ones(8, 8)}, tmp_path)


def test_without_timm_its_install_line_is_given(tmp_path: Path, monkeypatch) -> None:
    def missing(extra: str, packages: list[str]) -> dict[str, str]:
        raise TargetUnavailable(f"{packages[0]} is not installed; run: {extra}")

    monkeypatch.setattr("cnn_export.source.networks.timm_models.require", missing)
    file = official_files.write_checkpoint("mobileone_s4_deploy", tmp_path)
    with pytest.raises(
        TargetUnavailable, match="apple/ml-mobileone's, and belong to timm:mobileone_s4"
    ):
        load_model(file)


def test_a_merged_mobileone_of_one_channel() -> None:
    shapes = dict(official_files.keys("mobileone_s4_deploy").tensors)
    stem, *_ = shapes["stage0.reparam_conv.weight"]
    shapes |= {"stage0.reparam_conv.weight": (stem, 1, 3, 3), "linear.bias": (4,)}
    shapes["linear.weight"] = (4, shapes["linear.weight"][1])
    (found,) = [mapped for each in key_maps() for mapped in each.detect(shapes)]
    assert found.arguments == {"num_classes": 4, "in_chans": 1}
