"""RemoveNoOps on pools and interpolations: gone where every element keeps its place."""

import pytest
import torch
from pass_checks import check_pass, graph_of, operators
from torch import nn
from torch.nn import functional as F

from cnn_export.reparam import reparameterize_graph
from cnn_export.reparam.passes.canonical.remove_no_ops import RemoveNoOps

IMAGE = torch.randn(1, 4, 5, 7)


class _Function(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x.sigmoid()).tanh()


def _resized(mode, **options):
    return lambda x: F.interpolate(x, mode=mode, **options)


GONE = {
    "average of one": lambda x: F.avg_pool2d(x, 1),
    "average of one, not counting": lambda x: F.avg_pool2d(x, 1, 1, 0, False, False),
    "maximum of one": lambda x: F.max_pool2d(x, 1),
    "maximum of one, rounding up": lambda x: F.max_pool2d(x, 1, 1, 0, 1, True),
    "one row": lambda x: F.avg_pool1d(x[0], 1)[None],
    "nearest": _resized("nearest", size=(5, 7)),
    "exact nearest": _resized("nearest-exact", size=(5, 7)),
    "bilinear": _resized("bilinear", size=(5, 7)),
    "bilinear, aligned": _resized("bilinear", size=(5, 7), align_corners=True),
    "bicubic": _resized("bicubic", size=(5, 7)),
    "scale one": _resized("bilinear", scale_factor=1.0),
}


@pytest.mark.parametrize("case", GONE)
def test_goes(case):
    checked = check_pass(RemoveNoOps(), _Function(GONE[case]), IMAGE)
    rest = [name for name in checked.ops if name not in ("select", "unsqueeze")]
    assert rest == ["sigmoid", "tanh"]
    assert checked.result.refusals == ()


MEANT = {
    "stride": lambda x: F.max_pool2d(x, 1, 2),
    "padded average": lambda x: F.avg_pool2d(x, 2, 1, 1)[:, :, :5, :7],
    "padded maximum of one": lambda x: F.avg_pool2d(x, (1, 2), 1, (0, 1))[..., :7],
    "divisor": lambda x: F.avg_pool2d(x, 1, divisor_override=2),
    "other size": _resized("nearest", size=(5, 8)),
    "same size at another scale": _resized("bilinear", scale_factor=1.1),
    "same size at another scale, nearest": _resized("nearest", scale_factor=1.13),
}


@pytest.mark.parametrize("case", MEANT)
def test_stays(case):
    checked = check_pass(RemoveNoOps(), _Function(MEANT[case]), IMAGE)
    assert any("pool" in name or "upsample" in name for name in checked.ops)


def test_the_stage_of_a_same_size_adaptive_pool_leaves_nothing():
    graph_module = graph_of(_Function(lambda x: F.adaptive_avg_pool2d(x, (5, 7))), IMAGE)
    reparameterize_graph(graph_module)
    assert operators(graph_module) == ["sigmoid", "tanh"]
