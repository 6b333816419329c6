"""The networks whose reparameterization is measured. Loads torch and timm: for workers only."""

from __future__ import annotations

import collections
import copy
from typing import Any

import torch
from torch import fx, nn

from cnn_export.benchmarks.studies.reparam.jobs import FORMS, Counts
from cnn_export.command_line.packages import require
from cnn_export.program.program import capture
from cnn_export.reparam import reparameterize_graph
from cnn_export.reparam.cost import measure
from cnn_export.reparam.graph.operators import operator_name

_SEED = 1


def build(name: str) -> tuple[nn.Module, torch.Tensor]:
    """Return timm's network in evaluation mode and an image of its own size.

    Weights are drawn, statistics of batch normalization are far from the identity.

    Raises:
        TargetUnavailable: timm is not installed.
    """
    require("timm", ["timm"])
    import timm

    torch.manual_seed(_SEED)
    module: Any = timm.create_model(name, pretrained=False)
    for layer in module.modules():
        if isinstance(layer, nn.modules.batchnorm._BatchNorm):  # pyright: ignore[reportPrivateUsage] # the one base of all kinds
            _randomize(layer)
    return module.eval(), torch.randn(1, *module.default_cfg["input_size"])


def fused_by_timm(module: nn.Module) -> nn.Module | None:
    """Return timm's own fusion of a copy, or ``None`` where it has none for this network."""
    from timm.utils.model import reparameterize_model

    fused: Any = reparameterize_model(copy.deepcopy(module))
    layers = [sum(1 for _ in each.modules()) for each in (module, fused)]
    return fused.eval() if layers[0] != layers[1] else None


def counts(name: str) -> dict[str, Counts | None]:
    """Return what the graph of each form holds."""
    module, image = build(name)
    naive = capture(module, (image,)).graph_module
    ours = capture(module, (image,)).graph_module
    reparameterize_graph(ours)
    fused = fused_by_timm(module)
    timm = None if fused is None else capture(fused, (image,)).graph_module
    return {
        form: None if graph is None else _count(graph)
        for form, graph in zip(FORMS, (naive, ours, timm), strict=True)
    }


class Chain(nn.Module):
    """``x + relu(norm(conv(x)))`` again and again: as many nodes as wanted, well conditioned."""

    def __init__(self, blocks: int, channels: int = 4) -> None:
        """Build ``blocks`` blocks of nine nodes each."""
        super().__init__()
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(channels, channels, 3, padding=1, bias=False),
                nn.BatchNorm2d(channels),
                nn.ReLU(),
            )
            for _ in range(blocks)
        )
        for layer in self.modules():
            if isinstance(layer, nn.BatchNorm2d):
                _randomize(layer)
                nn.init.uniform_(layer.weight, 0.5 / blocks, 1.5 / blocks)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the last sum; same shape as ``x``, (batch, channels, H, W)."""
        for block in self.blocks:
            x = x + block(x)
        return x


def _randomize(layer: Any) -> None:
    if layer.running_mean is not None:
        nn.init.normal_(layer.running_mean, 0, 0.2)
        nn.init.uniform_(layer.running_var, 0.5, 1.5)
    if layer.affine:
        nn.init.uniform_(layer.weight, 0.5, 1.2)
        nn.init.normal_(layer.bias, 0, 0.1)


def _count(graph_module: fx.GraphModule) -> Counts:
    names = collections.Counter(operator_name(node) for node in graph_module.graph.nodes)
    cost = measure(graph_module)
    return Counts(names["conv2d"], names["batch_norm"], cost.macs, cost.parameters)
