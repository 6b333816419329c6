"""Take operators out of a TFLite file, and what nothing reads any more."""

from __future__ import annotations

from typing import Any

from cnn_export.targets.tflite.flatbuffer import SubgraphEditor


def take_out(editor: SubgraphEditor, kind: str) -> None:
    """Remove all operators of a kind: what reads their results reads their inputs."""
    read: dict[int, int] = {}
    kept: list[Any] = []
    for operator in editor.operators:
        operator.inputs = [read.get(each, each) for each in map(int, operator.inputs)]
        if editor.name(operator) == kind:
            read[operator.outputs[0]] = operator.inputs[0]
        else:
            kept.append(operator)
    editor.operators[:] = kept


def drop_unused(editor: SubgraphEditor, entries: list[Any]) -> None:
    """Remove operators whose results nothing reads, and tensors that nothing names.

    ``entries``: the signatures' inputs and outputs, which name tensors as well.
    """
    graph = editor.subgraph
    wanted = {int(tensor) for tensor in graph.outputs}
    kept: list[Any] = []
    for operator in reversed(editor.operators):
        if wanted.intersection(operator.outputs):
            kept.append(operator)
            wanted.update(tensor for tensor in operator.inputs if tensor >= 0)
    editor.operators[:] = kept[::-1]
    wanted.update(graph.inputs, *(operator.outputs for operator in kept))
    order = sorted(wanted)
    place = {old: new for new, old in enumerate(order)}
    place[-1] = -1
    graph.tensors = [graph.tensors[old] for old in order]
    for holder in (graph, *editor.operators):
        holder.inputs = [place[int(tensor)] for tensor in holder.inputs]
        holder.outputs = [place[int(tensor)] for tensor in holder.outputs]
    for entry in entries:
        entry.tensorIndex = place[int(entry.tensorIndex)]
