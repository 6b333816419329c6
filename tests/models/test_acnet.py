"""ACNet's own networks: told from others by their tensors, and merged to the plain ones."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from networks import seeded
from torch import nn

from cnn_export.errors import CheckpointError
from cnn_export.models.families.acnet import acnet_cfqk, acnet_resnet, acnet_vgg
from cnn_export.models.families.acnet_table import (
    detect_quick,
    detect_resnet,
    detect_vgg,
)
from cnn_export.models.families.resnet18_acb import resnet18_acb
from cnn_export.models.parts.merge_forms import FORMS
from cnn_export.program.program import capture
from cnn_export.reparam import Report, reparameterize_graph
from cnn_export.source import load_model

BUILDERS = {acnet_resnet: detect_resnet, acnet_vgg: detect_vgg, acnet_cfqk: detect_quick}


def meta_shapes(build, **arguments) -> dict[str, tuple[int, ...]]:
    with torch.device("meta"):
        return {k: tuple(v.shape) for k, v in build(**arguments).state_dict().items()}


def after_the_stage(network: nn.Module) -> Report:
    graph = capture(seeded(network), (torch.randn(1, 3, 33, 38),)).graph_module
    return reparameterize_graph(graph)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("build", list(BUILDERS))
def test_arguments_are_read_off_the_tensors(build, form):
    arguments = {"form": form, "classes": 7, "in_channels": 1}
    shapes = meta_shapes(build, **arguments)
    found = BUILDERS[build](shapes)
    assert found is not None
    assert found.items() >= arguments.items()
    assert meta_shapes(build, **found) == shapes
    assert [b for b, detect in BUILDERS.items() if detect(shapes)] == [build]


@pytest.mark.parametrize("arguments", [{"depth": 34}, {"width": 0.5}, {"width": 1.25}])
def test_depth_and_width_are_read_off_the_tensors(arguments):
    found = detect_resnet(meta_shapes(acnet_resnet, **arguments))
    assert found is not None
    assert found.items() >= arguments.items()


def test_other_networks_are_not_taken_for_one():
    shapes = meta_shapes(acnet_resnet)
    assert detect_resnet(shapes | {"stage4.2.conv2.square_conv.weight": (512, 512, 3, 3)}) is None
    foreign = meta_shapes(resnet18_acb)
    assert not [detect for detect in BUILDERS.values() if detect(foreign)]


def test_a_damaged_file_is_not_recognised_and_what_is_missing_is_named(tmp_path: Path):
    state = acnet_cfqk(classes=2).state_dict()
    del state["conv2.acb.hor_conv.weight"]
    torch.save(state, tmp_path / "cut.pth")
    with pytest.raises(CheckpointError, match=r"acnet_cfqk.*missing: conv2\.acb\.hor_conv\.weight"):
        load_model(tmp_path / "cut.pth")


def test_blocks_merge_to_the_plain_network():
    trained, plain = (after_the_stage(acnet_cfqk(form=form)) for form in ("trained", "plain"))
    assert trained.after == plain.after  # operators, parameters, bytes, macs
    assert trained.before.macs > trained.after.macs


@pytest.mark.parametrize("side", [30, 39])
def test_cifar_quick_names_the_sizes_it_takes(side):
    with pytest.raises(ValueError, match=f"31x31 to 38x38, got 33x{side}"):
        acnet_cfqk()(torch.zeros(1, 3, 33, side))


@pytest.mark.parametrize(
    "arguments", [{"depth": 50}, {"form": "merged"}, {"classes": 0}, {"width": 0.0}]
)
def test_what_the_authors_have_not_is_refused(arguments):
    with pytest.raises(ValueError, match="ACNet"):
        acnet_resnet(**arguments)
