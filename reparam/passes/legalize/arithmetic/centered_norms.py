"""Spell norms of a map's own statistics by its distance from their mean."""

from __future__ import annotations

from typing import Any

import torch
from torch import fx

from cnn_export.reparam.graph.operators import arguments, operator_name, static_sizes, value_of
from cnn_export.reparam.graph.surgery import Respelling
from cnn_export.reparam.program_pass import PassResult, ProgramPass, Refusal

_aten = torch.ops.aten
_IMAGE_RANK = 4
_SPATIAL = [2, 3]


class CenteredNorms(ProgramPass):
    """norm(x)  ⇒  d·γ/√(mean(d²) + ε) + β    d = x − mean(x).

    *Given* a layer norm of the last dimension, or a group or instance norm of images. *Result*
    means that XNNPACK delegates: over a dimension a layer of one output whose weights are 1/n; over
    an image the mean of each channel, and of these a 1x1 convolution per group. An image is
    centered twice: the mean of a flat one is rounded, and its rest times 1/√ε shows. ExecuTorch's
    own kernels are outside of the delegate and compute the variance as mean(x²) − mean(x)², which
    loses all digits of a flat map: up to 2e-4 of an output's RMS, and NaN of many norms in a row.

    Time on ExecuTorch, one thread, over its own kernels (one process): a block of ViT-Ti with
    PlainAttention 0.60; two group norms of 32x56x56 between convolutions 2.07, the price
    of digits that the kernel has not.
    """

    def __init__(self, *kinds: str) -> None:
        self.kinds = kinds or ("layer_norm", "group_norm", "instance_norm")

    def rewrite(self, graph_module: fx.GraphModule) -> PassResult:
        """Respell every such norm."""
        rewrites: list[str] = []
        refusals: list[Refusal] = []
        for node in list(graph_module.graph.nodes):
            name = operator_name(node)
            if name not in self.kinds:
                continue
            bound = arguments(node)
            if name == "instance_norm" and not bound["use_input_stats"]:
                continue
            reason = _obstacle(bound)
            if reason is not None:
                refusals.append(Refusal(node.name, reason))
                continue
            new = Respelling(graph_module, node)
            new.give(
                _insert_layer_norm(new, bound)
                if name == "layer_norm"
                else _insert_group_norm(new, bound)
            )
            rewrites.append(node.name)
        return PassResult(self.name, tuple(rewrites), tuple(refusals))


def _obstacle(bound: dict[str, Any]) -> str | None:
    shape = value_of(bound["input"]).shape
    normalized = bound.get("normalized_shape")
    if normalized is not None:
        if len(normalized) > 1:
            return f"it normalizes {len(normalized)} dimensions"
        return None if static_sizes(shape[-1:]) else "how much it normalizes is not known"
    if len(shape) != _IMAGE_RANK:
        return f"it normalizes {len(shape)} dimensions, which are no images"
    return None if static_sizes(shape[1:]) else "the size of its input is not known"


def _insert_layer_norm(new: Respelling, bound: dict[str, Any]) -> fx.Node:
    source: fx.Node = bound["input"]
    size = value_of(source).shape[-1]
    averages = torch.full((1, size), 1 / size, dtype=torch.float64)
    share = new.insert_number("layer_norm_share", averages)
    centered = new.call(_aten.sub.Tensor, source, new.call(_aten.linear.default, source, share))
    squares = new.call(_aten.mul.Tensor, centered, centered)
    variance = new.call(_aten.linear.default, squares, share)
    result = new.call(_aten.mul.Tensor, centered, _insert_inverse_root(new, variance, bound["eps"]))
    if bound["weight"] is not None:
        result = new.call(_aten.mul.Tensor, result, bound["weight"])
    if bound["bias"] is not None:
        result = new.call(_aten.add.Tensor, result, bound["bias"])
    return result


def _insert_group_norm(new: Respelling, bound: dict[str, Any]) -> fx.Node:
    source: fx.Node = bound["input"]
    channels = int(value_of(source).shape[1])
    groups = int(bound.get("num_groups", channels))
    centered = _insert_centered(new, _insert_centered(new, source, groups), groups)
    squares = new.call(_aten.mul.Tensor, centered, centered)
    inverse = _insert_inverse_root(new, _insert_group_means(new, squares, groups), bound["eps"])
    factor = _insert_spread(new, inverse, bound["weight"], channels)
    result = new.call(_aten.mul.Tensor, centered, factor)
    if bound["bias"] is not None:
        bias = new.insert_reshaped(bound["bias"], [1, channels, 1, 1])
        result = new.call(_aten.add.Tensor, result, bias)
    return result


def _insert_centered(new: Respelling, source: fx.Node, groups: int) -> fx.Node:
    channels = int(value_of(source).shape[1])
    mean = _insert_spread(new, _insert_group_means(new, source, groups), None, channels)
    return new.call(_aten.sub.Tensor, source, mean)


def _insert_group_means(new: Respelling, source: fx.Node, groups: int) -> fx.Node:
    """Return the means of each group, (N, groups, 1, 1)."""
    means = new.call(_aten.mean.dim, source, _SPATIAL, True)
    size = value_of(source).shape[1] // groups
    if size == 1:
        return means
    share = torch.full((groups, size, 1, 1), 1 / size, dtype=torch.float64)
    return _insert_convolution(new, means, new.insert_number("group_norm_share", share), groups)


def _insert_spread(
    new: Respelling, values: fx.Node, weight: fx.Node | None, channels: int
) -> fx.Node:
    """Return each group's value for each of its channels, times the channel's weight."""
    groups = int(value_of(values).shape[1])
    shape = [1, channels, 1, 1] if groups in (1, channels) else [channels, 1, 1, 1]
    if groups not in (1, channels):
        if weight is None:
            kernel = new.insert_number("group_norm_ones", torch.ones(shape))
        else:
            kernel = new.insert_reshaped(weight, shape)
        return _insert_convolution(new, values, kernel, groups)
    if weight is None:
        return values
    return new.call(_aten.mul.Tensor, values, new.insert_reshaped(weight, shape))


def _insert_convolution(new: Respelling, source: fx.Node, kernel: fx.Node, groups: int) -> fx.Node:
    return new.call(_aten.conv2d.default, source, kernel, None, [1, 1], [0, 0], [1, 1], groups)


def _insert_inverse_root(new: Respelling, variance: fx.Node, eps: float) -> fx.Node:
    return new.call(_aten.rsqrt.default, new.call(_aten.add.Tensor, variance, float(eps)))
