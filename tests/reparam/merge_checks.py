"""Run the merge on a module, for tests of what it merges, weighs and refuses."""

from __future__ import annotations

import torch
from networks import randomize_batch_norm
from pass_checks import check_pass
from torch import nn

from cnn_export.reparam.graph.operators import operator_name
from cnn_export.reparam.passes.branches.merge_linear_branches import MergeLinearBranches


def image(channels=4, height=11, width=14, batch=2):
    return torch.randn(batch, channels, height, width)


def check(module, *inputs, **options):
    torch.manual_seed(3)
    randomize_batch_norm(module)
    inputs = inputs or (image(),)
    return check_pass(MergeLinearBranches(), module, *inputs, **options)


def merges(module, *inputs, **options):
    """The whole module becomes one convolution."""
    checked = check(module, *inputs, **options)
    assert checked.ops == ["conv2d"]
    return next(n for n in checked.graph_module.graph.nodes if operator_name(n) == "conv2d")


class Function(nn.Module):
    """Two layers and a formula over them."""

    def __init__(self, formula, *layers):
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.formula = formula

    def forward(self, x):
        return self.formula(x, *self.layers)
