"""DBB's own networks: told from others by their tensors; blocks merge to one convolution."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from networks import randomize_batch_norm, seeded
from torch.nn import functional

from cnn_export.errors import CheckpointError
from cnn_export.models.families.dbb import dbb_mobilenet, dbb_resnet
from cnn_export.models.families.dbb_table import detect_mobilenet, detect_resnet
from cnn_export.models.parts.blocks.dbb_block import DiverseBranchBlock, NormAndPad
from cnn_export.models.parts.merge_forms import FORMS
from cnn_export.program.program import capture
from cnn_export.reparam import reparameterize_graph
from cnn_export.source import load_model

BUILDERS = {dbb_resnet: detect_resnet, dbb_mobilenet: detect_mobilenet}


def meta_shapes(build, **arguments) -> dict[str, tuple[int, ...]]:
    with torch.device("meta"):
        return {k: tuple(v.shape) for k, v in build(**arguments).state_dict().items()}


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


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("arguments", [{"depth": 50}, {"depth": 18, "width": 0.25}])
def test_depth_and_width_are_read_off_the_tensors(form, arguments):
    shapes = meta_shapes(dbb_resnet, form=form, **arguments)
    found = detect_resnet(shapes)
    assert found is not None
    assert found.items() >= arguments.items()
    assert meta_shapes(dbb_resnet, **found) == shapes


def test_deeper_networks_are_not_taken_for_one():
    resnet = meta_shapes(dbb_resnet, form="deployed")
    assert detect_resnet(resnet | {"stage3.2.conv2.dbb_reparam.weight": (256, 256, 3, 3)}) is None
    mobilenet = meta_shapes(dbb_mobilenet)
    longer = {"stem.13.depthwise.dbb_origin.conv.weight": (1024, 1, 3, 3)}
    assert detect_mobilenet(mobilenet | longer) is None


def test_the_name_that_the_authors_record_is_theirs(tmp_path: Path):
    """``arch`` of their training script is ``ResNet-18``, which is torchvision's name elsewhere.

    It does not say the strides, which stays noted.
    """
    network = seeded(dbb_resnet(width=1 / 16, classes=3))
    state = {f"module.{k}": v for k, v in network.state_dict().items()}
    content = {"state_dict": state, "epoch": 3, "arch": "ResNet-18"}
    torch.save(content, tmp_path / "model_best.pth.tar")
    loaded = load_model(tmp_path / "model_best.pth.tar")
    assert loaded.name == "dbb_resnet"
    assert not any("ResNet-18" in note for note in loaded.notes)
    assert any("shapes alone" in note for note in loaded.notes)
    image = torch.randn(1, 3, 41, 50)
    with torch.no_grad():
        assert torch.equal(loaded.module(image), network(image))


def test_a_damaged_file_is_not_recognised_and_what_is_missing_is_named(tmp_path: Path):
    state = dbb_resnet(width=1 / 16, classes=2).state_dict()
    del state["stage2.1.conv2.dbb_avg.bn.bn.weight"]
    torch.save(state, tmp_path / "cut.pth")
    expected = r"dbb_resnet.*missing: stage2\.1\.conv2\.dbb_avg\.bn\.bn\.weight"
    with pytest.raises(CheckpointError, match=expected):
        load_model(tmp_path / "cut.pth")


@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize(("outputs", "groups"), [(4, 4), (6, 2), (4, 1)])
@pytest.mark.parametrize("stride", [1, 2])
def test_a_block_merges_to_one_convolution(kernel, outputs, groups, stride):
    block = DiverseBranchBlock(4, outputs, kernel, stride=stride, groups=groups, relu=True)
    graph = capture(seeded(block), (torch.randn(1, 4, 11, 14),)).graph_module
    report = reparameterize_graph(graph)
    assert report.after.ops == 2  # the convolution and its ReLU
    assert report.after.parameters == outputs * (4 // groups * kernel**2 + 1)


def test_the_border_counts_in_no_statistics():
    norm, maps = NormAndPad(3, 2), torch.randn(4, 3, 5, 6)
    randomize_batch_norm(norm)
    alone = torch.nn.BatchNorm2d(3)
    alone.load_state_dict(norm.bn.state_dict())
    trained = norm.train()(maps)
    torch.testing.assert_close(trained[:, :, 2:-2, 2:-2], alone(maps))
    torch.testing.assert_close(norm.bn.running_var, alone.running_var)
    at_zero = alone.eval()(torch.zeros(1, 3, 1, 1)).expand(4, 3, 2, 10)
    torch.testing.assert_close(trained[:, :, :2], at_zero)
    inside = functional.pad(alone(maps), [2] * 4)[:, :, 2:-2, 2:-2]
    torch.testing.assert_close(norm.eval()(maps)[:, :, 2:-2, 2:-2], inside)


@pytest.mark.parametrize(
    "arguments", [{"depth": 34}, {"form": "merged"}, {"classes": 0}, {"width": 0.0}]
)
def test_what_the_authors_have_not_is_refused(arguments):
    with pytest.raises(ValueError, match="DBB"):
        dbb_resnet(**arguments)
