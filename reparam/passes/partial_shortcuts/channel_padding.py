"""Tensors that hold zeros outside some channels: ``pad(x)``, ``cat([x, zeros])``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import fx

from cnn_export.reparam.graph.attributes import constant
from cnn_export.reparam.graph.channel_ranges import CHANNEL_DIM, channels, concatenated, read_range
from cnn_export.reparam.graph.operators import arguments, operator_name, static_sizes, value_of
from cnn_export.reparam.passes.partial_shortcuts.partial_shortcut import Addend

_ZEROS = frozenset({"zeros", "zeros_like", "new_zeros"})
_FULL = {"full": "fill_value", "full_like": "fill_value", "new_full": "fill_value"}
_SAME_EVERYWHERE = frozenset({"expand", "expand_as", "repeat", "clone", "contiguous"})


def read_padded(graph_module: fx.GraphModule, node: fx.Node) -> list[Addend] | str | None:
    """Return what a tensor holds beside zero channels, each with its first channel.

    ``None`` for a tensor without zero channels, and a reason for one that pads its channels but
    not, or not only, with zero channels.
    """
    if operator_name(node) in ("pad", "constant_pad_nd"):
        return _read_pad(node)
    operands = concatenated(node)
    if operands is None:
        return None
    found: list[Addend] = []
    position, zeros = 0, False
    for operand in operands:
        values = read_range(operand)
        if values is not None and values.size and is_zero(graph_module, operand):
            zeros = True
        elif values is not None and values.size:
            found.append(Addend(position, values))
        position += channels(operand) or 0
    return found if zeros else None


def is_zero(graph_module: fx.GraphModule, node: Any) -> bool:
    """Whether every element is 0 for every input of the network."""
    if not isinstance(node, fx.Node):
        return False
    stored = constant(graph_module, node)
    if stored is not None:
        return not bool(stored.any())
    name = operator_name(node)
    if name in _ZEROS:
        return True
    if name in _FULL:
        return arguments(node)[_FULL[name]] == 0
    return name in _SAME_EVERYWHERE and is_zero(graph_module, node.args[0])


def _read_pad(node: fx.Node) -> list[Addend] | str | None:
    bound = arguments(node)
    widths = static_sizes(bound["pad"])
    rank = value_of(node).ndim
    # Widths come in pairs from the last dimension; the channels' pair is number rank - 2.
    first = 2 * (rank - 1 - CHANNEL_DIM)
    if widths is None or len(widths) <= first or not any(widths[first : first + 2]):
        return None
    obstacle = _pad_obstacle(bound, widths, first)
    if obstacle:
        return f"{node.name} {obstacle}"
    values = read_range(bound["self"])
    return None if values is None else [Addend(widths[first], values)]


def _pad_obstacle(bound: dict[str, Any], widths: Sequence[int], first: int) -> str | None:
    if bound.get("mode", "constant") != "constant":
        return f"pads by {bound['mode']}"
    if bound["value"] not in (None, 0):
        return f"pads with {bound['value']}"
    if min(widths) < 0:
        return "crops"
    if any((*widths[:first], *widths[first + 2 :])):
        return "pads other dimensions than the channels as well"
    return None
