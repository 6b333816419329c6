"""ExplicitStrides: a max pool's default stride is its window, and is written out."""

import pytest
import torch
from pass_checks import check_pass
from torch import nn
from torch.nn import functional

from cnn_export.reparam.graph.operators import arguments
from cnn_export.reparam.passes.legalize.explicit_strides import ExplicitStrides

IMAGE = torch.randn(1, 3, 9, 14)


class Pool(nn.Module):
    def __init__(self, *kernel: int, **options: object) -> None:
        super().__init__()
        self.kernel = kernel[0] if len(kernel) == 1 else kernel
        self.options = options

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.max_pool2d(x, self.kernel, **self.options)


@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize(
    ("pool", "stride"),
    [
        (Pool(2), [2, 2]),
        (Pool(3, 2, padding=1), [3, 2]),
        (Pool(2, dilation=2), [2, 2]),
        (Pool(2, 3, ceil_mode=True), [2, 3]),
    ],
)
def test_writes_the_window(pool, stride, dynamic):
    checked = check_pass(ExplicitStrides(), pool, IMAGE, dynamic=dynamic)
    (node,) = checked.graph_module.graph.find_nodes(
        op="call_function", target=torch.ops.aten.max_pool2d.default
    )
    assert arguments(node)["stride"] == stride
    assert checked.result.rewrites == (node.name,)


def test_writes_the_window_of_a_sequence():
    class Sequence(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return functional.max_pool1d(x, 3)

    assert check_pass(ExplicitStrides(), Sequence(), torch.randn(1, 3, 10)).result.modified


@pytest.mark.parametrize("pool", [nn.MaxPool2d(2), Pool(3, stride=1), nn.AvgPool2d(2)])
def test_other_pools_stay(pool):
    assert not check_pass(ExplicitStrides(), pool, IMAGE).result.modified
