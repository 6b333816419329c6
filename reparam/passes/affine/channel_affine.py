"""Operators that map each channel by itself: ``y = scale · x + shift``, read into one shape."""

from __future__ import annotations

import dataclasses
from typing import Any

import torch
from torch import fx

from cnn_export.reparam.graph.attributes import constant
from cnn_export.reparam.graph.operators import (
    arguments,
    has_tensor,
    operator_name,
    same_tensor_type,
    static_sizes,
    value_of,
)
from cnn_export.reparam.passes.affine.batch_norm import (
    Affine,
    all_finite,
    batch_norm_affine,
    batch_norm_fault,
)

CHANNEL_DIM = 1


@dataclasses.dataclass(frozen=True)
class ChannelAffine:
    """``node = affine(input)`` along the channels; shapes of ``node`` and ``input`` agree."""

    node: fx.Node
    input: fx.Node
    affine: Affine


def read_channel_affine(
    graph_module: fx.GraphModule, node: Any, channel_dim: int = CHANNEL_DIM
) -> ChannelAffine | None:
    """Read evaluation-mode batch norm, ``x·c``, ``x/c``, ``x + c``, ``x - c``, ``c - x``, ``-x``.

    ``c`` is a number or a stored tensor that varies along ``channel_dim`` (from 0) at most.
    ``None`` for anything else, for integers, for a map that is not finite in float64, and where
    broadcasting would change the shape of ``x``.
    """
    if not has_tensor(node) or not value_of(node).is_floating_point():
        return None
    if operator_name(node) == "batch_norm":
        found = _batch_norm(graph_module, node) if channel_dim == CHANNEL_DIM else None
    else:
        found = _Elementwise(graph_module, node, channel_dim).read()
    if found is None or not same_tensor_type(value_of(found.input), value_of(node)):
        return None
    return found if all_finite(found.affine.scale, found.affine.shift) else None


def batch_norm_map(graph_module: fx.GraphModule, node: fx.Node) -> Affine | str:
    """Return the affine map of a ``batch_norm`` node, or the reason why it has none."""
    bound = arguments(node)
    if bound["training"] or bound["running_mean"] is None or bound["running_var"] is None:
        return "it normalizes by the statistics of the batch"
    names = ("running_mean", "running_var", "weight", "bias")
    tensors = {name: constant(graph_module, bound[name]) for name in names}
    mean, variance = tensors["running_mean"], tensors["running_var"]
    computed = [name for name in names if bound[name] is not None and tensors[name] is None]
    if mean is None or variance is None or computed:
        return f"its {' and '.join(computed)} is computed in the graph"
    numbers = (mean, variance, tensors["weight"], tensors["bias"], bound["eps"])
    fault = batch_norm_fault(*numbers)
    if fault is None and (len(mean),) != _channels(node, CHANNEL_DIM):
        fault = f"its {len(mean)} statistics do not fit its input"
    return fault or batch_norm_affine(*numbers)


def _batch_norm(graph_module: fx.GraphModule, node: fx.Node) -> ChannelAffine | None:
    affine = batch_norm_map(graph_module, node)
    return (
        None if isinstance(affine, str) else ChannelAffine(node, arguments(node)["input"], affine)
    )


@dataclasses.dataclass(frozen=True)
class _Elementwise:
    """An elementwise operator that may be one of the spellings."""

    graph_module: fx.GraphModule
    node: fx.Node
    channel_dim: int

    def read(self) -> ChannelAffine | None:
        name = operator_name(self.node)
        if name not in ("mul", "div", "add", "sub", "rsub", "neg"):
            return None
        bound = arguments(self.node)
        if bound.get("rounding_mode") is not None or not has_tensor(bound["self"]):
            return None
        if name == "neg":
            return self._map(bound["self"], -1.0, 0.0)
        left, right = (
            per_channel(self.graph_module, bound[key], self.node, self.channel_dim)
            for key in ("self", "other")
        )
        alpha = float(bound.get("alpha", 1))
        if right is not None and left is None:
            return self._by_constant(bound["self"], name, right, alpha)
        if left is not None and right is None and has_tensor(bound["other"]):
            return self._of_constant(bound["other"], name, left, alpha)
        return None

    def _by_constant(
        self, source: fx.Node, name: str, value: torch.Tensor, alpha: float
    ) -> ChannelAffine | None:
        """Read ``source OP value``."""
        if name == "div":
            return self._map(source, value.reciprocal(), 0.0)
        if name == "mul":
            return self._map(source, value, 0.0)
        if name == "rsub":
            return self._map(source, -alpha, value)
        return self._map(source, 1.0, value * (alpha if name == "add" else -alpha))

    def _of_constant(
        self, source: fx.Node, name: str, value: torch.Tensor, alpha: float
    ) -> ChannelAffine | None:
        """Read ``value OP source``."""
        if name == "mul":
            return self._map(source, value, 0.0)
        if name in ("add", "sub"):
            return self._map(source, alpha if name == "add" else -alpha, value)
        return None

    def _map(
        self, source: fx.Node, scale: torch.Tensor | float, shift: torch.Tensor | float
    ) -> ChannelAffine | None:
        channels = _channels(self.node, self.channel_dim)
        if channels is None:
            return None

        def spread(value: torch.Tensor | float) -> torch.Tensor:
            return torch.as_tensor(value, dtype=torch.float64).reshape(-1).expand(channels)

        return ChannelAffine(self.node, source, Affine(spread(scale), spread(shift)))


def per_channel(
    graph_module: fx.GraphModule, argument: Any, node: fx.Node, channel_dim: int = CHANNEL_DIM
) -> torch.Tensor | None:
    """Return a number or stored tensor as (channels,) of ``node`` in float64, else ``None``."""
    channels = _channels(node, channel_dim)
    if channels is None:
        return None
    if isinstance(argument, (int, float)) and not isinstance(argument, bool):
        return torch.full(channels, float(argument), dtype=torch.float64)
    tensor = constant(graph_module, argument)
    if tensor is None or not tensor.is_floating_point():
        return None
    rank = value_of(node).ndim
    shape = (1,) * (rank - tensor.ndim) + tuple(tensor.shape)
    varies = [dim for dim, size in enumerate(shape) if size != 1]
    if len(shape) != rank or varies not in ([], [channel_dim]):
        return None
    return tensor.double().reshape(-1).expand(channels)


def _channels(node: fx.Node, channel_dim: int) -> tuple[int] | None:
    """Return the size along the channels, as a shape."""
    sizes = static_sizes(value_of(node).shape[channel_dim : channel_dim + 1])
    return (sizes[0],) if sizes else None
