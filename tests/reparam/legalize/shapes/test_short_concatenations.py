"""ShortConcatenations: no more tensors at once than a delegate joins."""

import pytest
import torch
from pass_checks import check_pass
from torch import nn

from cnn_export.reparam.graph.operators import arguments, operator_name
from cnn_export.reparam.passes.legalize.shapes.short_concatenations import ShortConcatenations

SHORT = ShortConcatenations(5)


class _Joined(nn.Module):
    """Concatenate ``widths`` channels, each computed apart."""

    def __init__(self, widths, dim=1):
        super().__init__()
        self.widths, self.dim = widths, dim

    def forward(self, x):
        pieces = [torch.relu(x[:, :width] * index) for index, width in enumerate(self.widths)]
        return torch.cat(pieces, self.dim)


class _Dense(nn.Module):
    """Every layer reads all before it, as DenseNet's do."""

    def __init__(self, layers):
        super().__init__()
        self.layers = nn.ModuleList(nn.Conv2d(3 + 2 * i, 2, 1) for i in range(layers))

    def forward(self, x):
        features = [x]
        for layer in self.layers:
            features.append(layer(torch.cat(features, 1)))
        return torch.cat(features, 1)


def joined(checked):
    """Return how many tensors each concatenation takes, in order."""
    cats = [n for n in checked.graph_module.graph.nodes if operator_name(n) == "cat"]
    return [len(arguments(node)["tensors"]) for node in cats]


@pytest.mark.parametrize(
    ("widths", "counts"),
    [
        ([4] * 5, [5]),
        ([4] * 6, [2, 5]),
        ([4] * 9, [5, 5]),
        ([4] * 11, [5, 3, 5]),
        ([4] * 26, [5, 5, 5, 5, 5, 2, 5]),
    ],
)
def test_many_tensors_are_joined_in_steps(widths, counts):
    checked = check_pass(SHORT, _Joined(widths), torch.randn(2, 8, 3, 5))
    assert joined(checked) == counts
    assert bool(checked.result.rewrites) == (len(widths) > 5)


def test_the_smallest_neighbours_are_copied_twice():
    checked = check_pass(SHORT, _Joined([8, 7, 6, 1, 2, 8]), torch.randn(1, 8, 3, 5))
    first = next(n for n in checked.graph_module.graph.nodes if operator_name(n) == "cat")
    assert [node.meta["val"].shape[1] for node in arguments(first)["tensors"]] == [1, 2]


def test_a_dense_block_goes_on_from_what_is_joined_already():
    checked = check_pass(SHORT, _Dense(8), torch.randn(1, 3, 4, 5))
    assert joined(checked) == [1, 2, 3, 4, 5, 2, 2, 2, 2]


@pytest.mark.parametrize("dim", [0, -1])
def test_any_dimension(dim):
    checked = check_pass(SHORT, _Joined([4] * 7, dim), torch.randn(1, 8, 3, 5))
    assert joined(checked) == [3, 5]


def test_a_dynamic_batch_stays():
    checked = check_pass(SHORT, _Joined([4] * 7), torch.randn(1, 8, 3, 5), dynamic=True)
    assert joined(checked) == [3, 5]
    output = checked.graph_module.graph.output_node().args[0][0].meta["val"]
    assert isinstance(output.shape[0], torch.SymInt)
