"""The CIFAR repositories' networks: told from one another and from their twins by their tensors."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torchvision import models

from cnn_export.errors import CheckpointError
from cnn_export.models.families.cifar_mobilenet import cifar_mobilenet
from cnn_export.models.families.cifar_resnet import cifar_preact_resnet, cifar_resnet, cifar_resnext
from cnn_export.models.registry import architectures
from cnn_export.source import load_model

FAMILIES = {name: a for name, a in architectures().items() if name.startswith("cifar_")}
VARIANTS = [
    *((name, {}) for name in FAMILIES),
    *(("cifar_resnet", {"depth": depth}) for depth in (34, 50, 101, 152)),
    *(("cifar_preact_resnet", {"depth": depth}) for depth in (34, 50, 101, 152)),
    *(("cifar_resnext", {"cardinality": c, "group_width": w}) for c, w in ((4, 64), (32, 4))),
    *(("cifar_vgg", {"depth": depth}) for depth in (11, 13, 19)),
    *(("cifar_densenet", {"depth": d, "growth_rate": 32}) for d in (121, 169, 201)),
    *(("cifar_shufflenet_v2", {"width": width}) for width in (0.5, 1.5, 2.0)),
    ("cifar_densenet", {"depth": 161, "growth_rate": 48}),
]


OFFICIAL = sorted((Path(__file__).parent / "official" / "keys").glob("cifar_*.json"))
"""Tensors of files that the repository's own code saved."""


def meta_shapes(build, **arguments) -> dict[str, tuple[int, ...]]:
    with torch.device("meta"):
        return {k: tuple(v.shape) for k, v in build(**arguments).state_dict().items()}


@pytest.mark.parametrize(("name", "arguments"), VARIANTS)
def test_arguments_are_read_off_the_tensors(name, arguments):
    asked = {**arguments, "classes": 7, "in_channels": 1}
    shapes = meta_shapes(FAMILIES[name].build, **asked)
    found = FAMILIES[name].detect(shapes)
    assert found is not None
    assert found.items() >= asked.items()
    assert meta_shapes(FAMILIES[name].build, **found) == shapes
    claimed = [other for other, a in architectures().items() if a.detect(shapes) is not None]
    assert claimed == [name]


@pytest.mark.parametrize("file", OFFICIAL, ids=[file.stem for file in OFFICIAL])
def test_a_network_has_the_tensors_of_the_official_file_and_no_others(file):
    listed = json.loads(file.read_text("utf-8"))["tensors"]
    shapes = {name.removeprefix("module."): tuple(shape) for name, shape in listed.items()}
    (built,) = (
        meta_shapes(family.build, **found)
        for family in FAMILIES.values()
        if (found := family.detect(shapes)) is not None
    )
    assert {k: v for k, v in built.items() if not k.endswith("num_batches_tracked")} == shapes


@pytest.mark.parametrize(
    "build",
    [
        models.resnet18,
        models.resnext50_32x4d,
        models.mobilenet_v2,
        models.shufflenet_v2_x1_0,
        models.vgg11_bn,
        models.densenet121,
    ],
)
def test_the_networks_of_other_libraries_are_not_taken_for_one(build):
    shapes = meta_shapes(build)
    assert not [name for name, family in FAMILIES.items() if family.detect(shapes) is not None]


def test_a_resnet_of_three_stages_is_none_of_them():
    """ResNet-20 of the paper's CIFAR section, under the names of common repositories."""
    shapes = meta_shapes(cifar_resnet)
    shorter = {k: v for k, v in shapes.items() if not k.startswith("layer4.")}
    narrow = {**shorter, "linear.weight": (10, 64), "conv1.weight": (16, 3, 3, 3)}
    for tensors in (shorter, narrow):
        claimed = [name for name, f in FAMILIES.items() if f.detect(tensors) is not None]
        assert claimed == []


def test_a_damaged_file_is_not_recognised_and_what_is_missing_is_named(tmp_path: Path):
    state = cifar_mobilenet().state_dict()
    del state["layers.7.bn1.running_var"]
    torch.save({"net": state}, tmp_path / "ckpt.pth")
    with pytest.raises(CheckpointError, match=r"cifar_mobilenet \(.*layers\.7\.bn1\.running_var"):
        load_model(tmp_path / "ckpt.pth")


@pytest.mark.parametrize("build", [cifar_resnet, cifar_preact_resnet])
def test_other_depths_are_refused(build):
    with pytest.raises(ValueError, match="18, 34, 50, 101, 152 layers, got 20"):
        build(depth=20)


@pytest.mark.parametrize("name", list(FAMILIES))
def test_nonsense_sizes_are_refused(name):
    with pytest.raises(ValueError, match="classes"):
        FAMILIES[name].build(classes=0)


def test_a_group_needs_channels():
    with pytest.raises(ValueError, match="widths"):
        cifar_resnext(group_width=0)
