"""NormalizePixels: the graph does to raw pixels what its caller did, once, and nothing else."""

from __future__ import annotations

import pytest
import torch
from pass_checks import graph_of, operators
from torch import nn

from cnn_export.reparam import ReparameterizationError
from cnn_export.reparam.graph.operators import operator_name
from cnn_export.reparam.passes.affine.normalize_pixels import NormalizePixels
from cnn_export.reparam.program_pass import PassResult
from cnn_export.reparam.stage import map_input, reparameterize_graph

SCALE, OFFSET = torch.tensor([0.01, 0.02, 0.03]), torch.tensor([-1.0, 0.5, 2.0])
IMAGE = torch.randint(0, 256, (2, 3, 5, 9)).float()


class _Network(nn.Module):
    """Reads its image twice, adds and multiplies."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.conv = nn.Conv2d(3, 3, 3, padding=1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.conv(image) * 2 + image


def _by_caller(image: torch.Tensor) -> torch.Tensor:
    scale, offset = (each.double().reshape(1, 3, 1, 1) for each in (SCALE, OFFSET))
    return image * scale + offset


@pytest.mark.parametrize("dynamic", [False, True])
def test_the_network_on_what_a_caller_normalized(dynamic: bool) -> None:
    module = _Network().double()
    graph_module = graph_of(module, IMAGE.double(), dynamic=dynamic)
    result = NormalizePixels(SCALE, OFFSET)(graph_module)
    assert result.rewrites == ("image",)
    assert operators(graph_module) == ["mul", "add", "conv2d", "mul", "add"]
    given = torch.cat([IMAGE, IMAGE.flip(0), IMAGE]).double() if dynamic else IMAGE.double()
    with torch.no_grad():
        (actual,) = graph_module(given)
        expected = module(_by_caller(given))
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-12)


def test_a_second_run_changes_nothing_whatever_ran_between() -> None:
    graph_module = graph_of(_Network(), IMAGE)
    mapping = NormalizePixels(SCALE, OFFSET)
    assert mapping(graph_module).modified
    assert not mapping(graph_module).modified
    reparameterize_graph(graph_module)
    before = str(graph_module.graph)
    assert not mapping(graph_module).modified
    assert str(graph_module.graph) == before


@pytest.mark.parametrize("dynamic", [False, True])
def test_new_nodes_know_shape_dtype_and_the_line_that_reads_the_image(dynamic: bool) -> None:
    graph_module = graph_of(_Network(), IMAGE, dynamic=dynamic)
    NormalizePixels(SCALE, OFFSET)(graph_module)
    (image,) = graph_module.graph.find_nodes(op="placeholder")
    scaled = next(iter(image.users))
    (shifted,) = scaled.users
    assert (operator_name(scaled), operator_name(shifted)) == ("mul", "add")
    for node in (scaled, shifted):
        assert node.meta["val"].dtype == torch.float32
        assert node.meta["val"].shape == image.meta["val"].shape
        assert "self.conv(image)" in node.meta["stack_trace"]
    assert [node.name for node in graph_module.graph.nodes if node.op == "call_function"] == [
        *("mul", "add", "conv2d", "mul_1", "add_1"),
    ]  # as if the network had been traced behind it


class _Two(nn.Module):
    def forward(self, image: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        return image + other


REFUSED = {
    "two inputs": (_Two(), (IMAGE, IMAGE + 1), "one of 2 inputs: which of them is the image"),
    "a vector": (nn.ReLU(), (torch.rand(2, 3),), "no floating image, but torch.float32 of rank 2"),
    "whole numbers": (nn.Flatten(), (IMAGE.int(),), "no floating image, but torch.int32 of rank 4"),
    "grey": (nn.ReLU(), (IMAGE[:, :1],), "1 channels for 3 numbers"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_other_inputs_are_refused(case: str) -> None:
    module, inputs, reason = REFUSED[case]
    graph_module = graph_of(module, *inputs)
    before = str(graph_module.graph)
    result = NormalizePixels(SCALE, OFFSET)(graph_module)
    assert not result.modified
    assert reason in result.refusals[0].reason
    assert str(graph_module.graph) == before


@pytest.mark.parametrize("dynamic", [False, True])
def test_the_proof_compares_with_the_caller(dynamic: bool) -> None:
    mapping = NormalizePixels(SCALE, OFFSET)
    report = map_input(graph_of(_Network(), IMAGE, dynamic=dynamic), mapping, _by_caller)
    assert report.proof is not None
    assert report.proof.relative_error <= 1e-12
    assert [(each.name, each.rewrites) for each in report.passes] == [
        ("NormalizePixels", ("image",))
    ]


class _ForgetsAReader(NormalizePixels):
    """As NormalizePixels, but the last sum reads the pixels themselves."""

    def rewrite(self, graph_module: torch.fx.GraphModule) -> PassResult:
        result = super().rewrite(graph_module)
        (image,) = graph_module.graph.find_nodes(op="placeholder")
        (output,) = graph_module.graph.output_node().args[0]
        if result.modified:
            output.args = (output.args[0], image)
        return result


def test_a_mapping_that_does_less_is_found() -> None:
    graph_module = graph_of(_Network(), IMAGE)
    with pytest.raises(ReparameterizationError, match="_ForgetsAReader does not do what it should"):
        map_input(graph_module, _ForgetsAReader(SCALE, OFFSET), _by_caller)


def test_other_numbers_are_found() -> None:
    graph_module = graph_of(_Network(), IMAGE)
    mapping = NormalizePixels(SCALE, OFFSET * 1.00001)
    with pytest.raises(ReparameterizationError, match="relative error"):
        map_input(graph_module, mapping, _by_caller)
