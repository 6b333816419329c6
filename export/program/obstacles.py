"""What no artifact can be: other at each call, or of a size that depends on values."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import torch
from torch import fx
from torch._ops import OpOverload
from torch.fx.experimental.symbolic_shapes import GuardOnDataDependentSymNode, free_unbacked_symbols

from cnn_export.errors import InputRefused
from cnn_export.program.source_lines import source_line

_SWITCHES = {"train": False, "training": False, "dropout_p": 0.0, "dropout": 0.0, "p": 0.0}
"""Arguments that say of a random operator that it is not."""


def refuse_obstacles(graph_module: fx.GraphModule, name: str) -> None:
    """Refuse a traced network that is no function of its input, or gives a number of results.

    Raises:
        InputRefused: names the operator, its line and what to do.
    """
    for node in graph_module.graph.nodes:
        if node.users and _is_random(node):
            raise InputRefused(
                f"{name}{_at(node)} is random in evaluation too ({_operator(node)}): an artifact "
                "gives one answer to one input; switch it off where self.training is false, or "
                "take the noise as an input"
            )
    results: Any = graph_module.graph.output_node().args[0]
    if any(_is_counted(result) for result in results):
        counting = next(filter(_is_counted, graph_module.graph.nodes))
        raise InputRefused(
            f"{name}{_at(counting)} returns as many results as it finds ({_operator(counting)}), "
            "an artifact always as many: export the network up to boxes and scores, and leave "
            "suppression and selection outside"
        )


def value_obstacle(error: BaseException) -> str | None:
    """Return why ``torch.export`` could not follow a value; ``None`` for other errors."""
    if not isinstance(error, GuardOnDataDependentSymNode):
        return None
    return (
        "it branches on values that it computes, or makes a Python number of one (data-dependent),"
        " and an artifact does the same for every input; use tensors all the way (torch.where, "
        "torch.clamp), or decide outside the network"
    )


def _is_random(node: fx.Node) -> bool:
    target = node.target
    if not isinstance(target, OpOverload) or torch.Tag.nondeterministic_seeded not in target.tags:
        return False
    given = dict(_given(node, target))
    return not any(name in given and given[name] == off for name, off in _SWITCHES.items())


def _given(node: fx.Node, target: OpOverload) -> Iterator[tuple[str, Any]]:
    arguments = target._schema.arguments  # pyright: ignore[reportPrivateUsage] # torch offers no public accessor
    for argument, value in itertools.zip_longest(arguments, node.args):
        default = argument.default_value if argument.has_default_value() else None
        yield argument.name, node.kwargs.get(argument.name, default if value is None else value)


def _is_counted(node: fx.Node) -> bool:
    """Whether a size of what it yields is known only once it has run."""
    values = node.meta.get("val")
    each = values if isinstance(values, (list, tuple)) else (values,)
    return any(isinstance(v, torch.Tensor) and bool(free_unbacked_symbols(v)) for v in each)


def _operator(node: fx.Node) -> str:
    return str(node.target).removesuffix(".default")


def _at(node: fx.Node) -> str:
    line = source_line(node)
    return f" at {line}" if line else ""
