"""FloatNumbers: whole numbers in arithmetic on floats."""

import torch
from pass_checks import check_pass, graph_of
from torch import nn

from cnn_export.reparam.passes.legalize.arithmetic.float_numbers import FloatNumbers


class _Numbers(nn.Module):
    def forward(self, x: torch.Tensor, index: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.sub((x + 1) * 2 / 3, 4, alpha=2) + 0.5, index + 1


def test_only_of_floats() -> None:
    given = torch.randn(1, 3), torch.tensor([1, 2])
    graph_module = graph_of(_Numbers(), *given)
    result = FloatNumbers()(graph_module)
    assert len(result.rewrites) == 4
    numbers = [each for node in graph_module.graph.nodes for each in node.args[1:]]
    assert [type(each) for each in numbers if isinstance(each, (int, float))] == [*[float] * 5, int]
    for actual, expected in zip(graph_module(*given), _Numbers()(*given), strict=True):
        assert torch.equal(actual, expected)


def test_a_second_run_changes_nothing() -> None:
    class OfImages(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return 1 - (x + 1) * 2

    assert len(check_pass(FloatNumbers(), OfImages(), torch.randn(1, 3)).result.rewrites) == 3
