"""TFLite's spelling of a padded max pool.

max_pool2d(x, k, s, p)  ⇒  max_pool2d(pad(x, p), k, s, 0)   where the zeros cannot be seen

torch pads a max pool with minus infinity, which becomes a PADV2 that XNNPACK leaves to TFLite's
own kernel, in the middle of the net. Zeros, which XNNPACK pads with, are never the maximum of
values that are not negative; nor are they noticed where all readers clip below zero.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import fx

from cnn_export.program.program import Program
from cnn_export.targets.graph_copy import with_edited_copy
from cnn_export.targets.tflite.non_negative import clips_below_zero, non_negative

_MAX_POOL = torch.ops.aten.max_pool2d.default
_DEFAULTS: tuple[Any, ...] = (None, None, [], 0, 1, False)
"""input, kernel size, stride (empty: the kernel size), padding, dilation, ceil mode."""


def spelled_out(program: Program) -> Program:
    """Return the program with zero-padded max pools where they are equal; else unchanged."""
    if not _replaceable(program.graph_module.graph):
        return program
    return with_edited_copy(program, _replace_all)


def _replaceable(graph: fx.Graph) -> list[fx.Node]:
    pools = graph.find_nodes(op="call_function", target=_MAX_POOL)
    plain = [pool for pool in pools if not pool.kwargs and not _arguments(pool)[5]]
    padded = [pool for pool in plain if any(_padding(pool))]
    if not padded:
        return []
    known = non_negative(graph)
    return [
        pool
        for pool in padded
        if pool.args[0] in known or all(clips_below_zero(user) for user in pool.users)
    ]


def _arguments(pool: fx.Node) -> list[Any]:
    return [*pool.args, *_DEFAULTS[len(pool.args) :]]


def _padding(pool: fx.Node) -> tuple[int, int]:
    padding = _arguments(pool)[3]
    height, *width = padding if isinstance(padding, (list, tuple)) else (padding,)
    return height, (width or [height])[0]


def _replace_all(module: fx.GraphModule) -> None:
    for pool in _replaceable(module.graph):
        source, kernel, stride, _, dilation, _ = _arguments(pool)
        height, width = _padding(pool)
        with module.graph.inserting_before(pool):
            padded = module.graph.call_function(
                torch.ops.aten.pad.default, (source, [width, width, height, height])
            )
        pool.args = (padded, kernel, stride or kernel, 0, dilation)
