"""Names that authors' training code records are compared with what the tensors show."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from cnn_export.errors import CheckpointError
from cnn_export.models.families.repvgg_table import VARIANTS
from cnn_export.models.registry import Shapes, architectures
from cnn_export.source import load_model
from cnn_export.source.networks.detect import registered_candidate
from cnn_export.source.networks.model_names import named_source
from cnn_export.source.networks.timm_models import create, is_installed
from cnn_export.source.recognition.recorded_network_names import is_called, is_otherwise_called

sys.path.insert(0, str(Path(__file__).parent / "official"))
import authors_names
import official_files

SHAPES_ONLY = "shapes alone decided"


def shapes_of(name: str, **arguments: Any) -> Shapes:
    with torch.device("meta"):
        state = architectures()[name].build(**arguments).state_dict()
    return {tensor: tuple(value.shape) for tensor, value in state.items()}


def load(tmp_path: Path, tensors: Mapping[str, Any], **beside: Any) -> Any:
    torch.save({"state_dict": dict(tensors), **beside}, tmp_path / "file.pth")
    return load_model(tmp_path / "file.pth")


def state_of(name: str, **arguments: Any) -> Mapping[str, torch.Tensor]:
    return architectures()[name].build(**arguments).state_dict()


@pytest.mark.parametrize(("form", "recorded"), [("plain", "ResNet-18"), ("trained", "ResNet-18")])
def test_another_depth_is_refused(tmp_path: Path, form: str, recorded: str) -> None:
    network = state_of("dbb_resnet", depth=50, width=1 / 16, classes=3, form=form)
    with pytest.raises(CheckpointError, match=f"calls itself '{recorded}', but its tensors.*50"):
        load(tmp_path, network, arch=recorded)


@pytest.mark.parametrize("variant", list(VARIANTS))
def test_every_repvgg_has_one_name(variant: str) -> None:
    candidate = registered_candidate(
        architectures()["repvgg"], shapes_of("repvgg", variant=variant)
    )
    names = [f"RepVGG-{each}" for each in VARIANTS]
    assert [name for name in names if is_called(candidate, name)] == [f"RepVGG-{variant}"]
    assert sum(is_otherwise_called(candidate, name) for name in names) == len(VARIANTS) - 1


def test_the_container_of_repvgg_s_training_code(tmp_path: Path) -> None:
    state = {f"module.{k}": v for k, v in state_of("repvgg").items()}
    loaded = load(tmp_path, state, epoch=3, arch="RepVGG-A0", best_acc1=1.0)
    assert loaded.name == "repvgg"
    assert any(SHAPES_ONLY in note for note in loaded.notes)
    with pytest.raises(CheckpointError, match=r"'RepVGG-A1', but its tensors.*A0"):
        load(tmp_path, state, arch="RepVGG-A1")


@pytest.mark.parametrize(
    ("name", "arguments", "recorded"),
    [
        ("cifar_resnet", {"depth": 18}, "ResNet18"),
        ("cifar_preact_resnet", {"depth": 18}, "PreActResNet18"),
        ("cifar_senet", {}, "SENet18"),
        ("cifar_resnext", {"cardinality": 2, "group_width": 64}, "ResNeXt29_2x64d"),
        ("cifar_mobilenet", {}, "MobileNet"),
        ("cifar_mobilenet_v2", {}, "MobileNetV2"),
        ("cifar_vgg", {"depth": 16}, "VGG16"),
        ("cifar_densenet", {}, "densenet_cifar"),
        ("cifar_shufflenet_v2", {"width": 0.5}, "ShuffleNetV2"),
    ],
)
def test_names_of_the_cifar_repository(name: str, arguments: dict[str, Any], recorded: str) -> None:
    candidate = registered_candidate(architectures()[name], shapes_of(name, **arguments))
    assert is_called(candidate, recorded)


def test_its_name_is_accepted_and_does_not_say_the_strides(tmp_path: Path) -> None:
    loaded = load(tmp_path, state_of("cifar_mobilenet_v2"), arch="MobileNetV2")
    assert loaded.name == "cifar_mobilenet_v2"
    assert any(SHAPES_ONLY in note for note in loaded.notes)
    assert not any("MobileNetV2" in note for note in loaded.notes)


@pytest.mark.parametrize("beside", [{}, {"arch": "mobilenetv2"}, {"model": "mobilenet_v2"}])
def test_a_family_s_name_does_not_say_the_strides(tmp_path: Path, beside: dict[str, str]) -> None:
    """A public twin for CIFAR-100 has d-li14's tensors and other strides."""
    shapes = {**official_files.keys("dli_mbv2_0.1").tensors}
    shapes |= {"classifier.weight": (100, 1280), "classifier.bias": (100,)}
    loaded = load(tmp_path, official_files.trained_like(shapes), **beside)
    assert any("names as in d-li14/mobilenetv2.pytorch" in note for note in loaded.notes)
    assert any(SHAPES_ONLY in note for note in loaded.notes)


@pytest.mark.skipif(not is_installed(), reason="the names are timm's")
@pytest.mark.parametrize("recorded", ["repvit_m1", "repvit_m0_9"])
def test_a_merged_repvit_may_have_either_name(tmp_path: Path, recorded: str) -> None:
    """Merged, the first form computes what the later one does."""
    source = _merged_repvit("repvit_m1", (2, 2, 14, 2))
    tensors = official_files.trained_like(dict(source))
    loaded = load(tmp_path, tensors, arch=recorded)
    assert loaded.name == "timm:repvit_m0_9"
    with pytest.raises(
        CheckpointError, match=r"'repvit_m1_0', but its tensors.*0 unexp|of another"
    ):
        load(tmp_path, tensors, arch="repvit_m1_0")


def _merged_repvit(name: str, depths: tuple[int, ...]) -> Shapes:
    network = create(name, num_classes=5, reparameterized=True)
    shapes = {tensor: tuple(value.shape) for tensor, value in network.state_dict().items()}
    return authors_names.in_authors_names("THU-MIG/RepViT", shapes, depths)


@pytest.mark.parametrize(
    ("name", "build", "arguments"),
    [(row.name, a.name, row.arguments) for a in architectures().values() for row in a.published],
)
def test_a_published_name_is_its_own_network(
    name: str, build: str, arguments: Mapping[str, Any]
) -> None:
    source = named_source(name)
    assert source.label == build
    assert json.dumps(source.resolve({}).arguments) == json.dumps(arguments)
