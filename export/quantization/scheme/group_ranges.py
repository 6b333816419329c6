"""The range that tensors of one scale share."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from torch import fx

from cnn_export.quantization.insertion.clips import EVERYTHING, Bounds, read_clip
from cnn_export.quantization.scheme.observation.ranges import Range, choose_range
from cnn_export.quantization.scheme.observation.scales import scale_of
from cnn_export.quantization.scheme.observation.statistics import Statistics
from cnn_export.quantization.scheme.options import SchemeOptions
from cnn_export.quantization.scheme.placement.place import Placement
from cnn_export.quantization.scheme.placement.reader_bounds import reader_bounds


@dataclasses.dataclass(frozen=True)
class GroupRange:
    """A float32 scale and a zero point, and where they come from."""

    scale: float
    zero_point: int
    why: str


def group_ranges(
    graph_module: fx.GraphModule,
    placement: Placement,
    statistics: Statistics,
    options: SchemeOptions,
) -> list[GroupRange]:
    """Return what every group of the placement gets from what its tensors held.

    Raises:
        ValueError: the statistics lack one of the tensors.
    """
    readers = reader_bounds(graph_module)
    answers = frozenset(graph_module.graph.output_node().all_input_nodes)
    keep_all = dataclasses.replace(options, ranges="minmax")
    return [
        _group_range(
            group,
            readers,
            _clips(graph_module, group),
            statistics,
            # The rare large values of an answer are what it says: nothing of it is cut off.
            options if answers.isdisjoint(group) else keep_all,
        )
        for group in placement.groups
    ]


def _clips(graph_module: fx.GraphModule, group: Sequence[fx.Node]) -> dict[fx.Node, Bounds]:
    """Return the clips that the group's steps may do: those of what is not integer before."""
    clips = {node: read_clip(graph_module, node) for node in group}
    return {node: clip[1] for node, clip in clips.items() if clip and clip[0] not in group}


def _group_range(
    group: Sequence[fx.Node],
    readers: dict[fx.Node, Bounds],
    clips: dict[fx.Node, Bounds],
    statistics: Statistics,
    options: SchemeOptions,
) -> GroupRange:
    wanted = Range(0.0, 0.0)
    for node in group:
        if node.name not in statistics.tensors:
            raise ValueError(f"the statistics are of another graph: nothing about {node.name}")
        wanted = wanted.union(
            Range(*options.known_ranges[node.name])
            if node.name in options.known_ranges
            else choose_range(statistics.tensors[node.name], readers[node], options)
        )
    span, inside = Bounds(wanted.low, wanted.high), EVERYTHING
    for node in group:
        if node in clips and span.within(clips[node]):
            inside = inside.cut(clips[node])
    return GroupRange(*scale_of(wanted, inside), _why(group, wanted, options))


def _why(group: Sequence[fx.Node], wanted: Range, options: SchemeOptions) -> str:
    method = f"{options.percentile:g} %" if options.ranges == "percentile" else options.ranges
    text = f"{method}: {wanted.low:.4g} to {wanted.high:.4g}"
    reached = ((wanted.low, wanted.reaches_low), (wanted.high, wanted.reaches_high))
    ends = [end for end, is_reached in reached if is_reached and end]
    if ends:
        text += f", beyond {' and '.join(f'{end:g}' for end in ends)} nothing is told apart"
    return text + (f"; shared by {len(group)} tensors" if len(group) > 1 else "")
