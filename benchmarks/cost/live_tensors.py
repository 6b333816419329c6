"""Live-tensor analysis: how much activation memory is needed at once."""

from __future__ import annotations

from cnn_export.artifact_files.op_graph import OpGraph


def peak_activation(graph: OpGraph) -> tuple[int, str | None]:
    """Return the most bytes alive at one moment, and the operator that runs then.

    Inputs live until their last use, outputs to the end, everything else from its writer to its
    last reader; a view keeps what it shows alive. Constants do not count. No operator works in
    place, so this is an upper bound of what an allocator with perfect packing needs.
    """
    owner = _owners(graph)
    last_use = _last_uses(graph, owner)
    live = {owner[key]: graph.tensors[owner[key]].nbytes for key in graph.inputs}
    now = sum(live.values())
    peak, where = now, None
    dying: dict[int, list[str]] = {}
    for key, position in last_use.items():
        dying.setdefault(position, []).append(key)
    for position, op in enumerate(graph.ops):
        for key in op.outputs:
            if owner[key] == key and not graph.tensors[key].constant and key not in live:
                live[key] = graph.tensors[key].nbytes
                now += live[key]
        if now > peak:
            peak, where = now, op.name
        for key in dying.get(position, []):
            now -= live.pop(key, 0)
    return peak, where


def _owners(graph: OpGraph) -> dict[str, str]:
    """Return, for every tensor, the one whose memory it shows: its own but for views."""
    owner = {key: key for key in graph.tensors}
    for op in graph.ops:
        if op.category == "view" and op.inputs:
            owner.update(dict.fromkeys(op.outputs, owner[op.inputs[0]]))
    return owner


def _last_uses(graph: OpGraph, owner: dict[str, str]) -> dict[str, int]:
    """Return the position of each owner's last reader; what nobody reads dies with its writer."""
    last: dict[str, int] = {}
    for position, op in enumerate(graph.ops):
        last.update({owner[key]: position for key in (*op.inputs, *op.outputs)})
    last.update({owner[key]: len(graph.ops) for key in graph.outputs})
    return last
