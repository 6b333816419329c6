"""One form for sums that cover a part of the channels, however they are written."""

from __future__ import annotations

from torch import fx

from cnn_export.reparam.graph.aliases import written_nodes
from cnn_export.reparam.graph.channel_ranges import channels
from cnn_export.reparam.graph.operators import arguments, has_tensor, operator_name, value_of
from cnn_export.reparam.graph.surgery import replace
from cnn_export.reparam.passes.partial_shortcuts.channel_padding import read_padded
from cnn_export.reparam.passes.partial_shortcuts.partial_shortcut import (
    PartialShortcut,
    addend_in_place,
    insert_partial_shortcut,
    is_canonical,
    merged,
    plain_sum,
    put_base_first,
    read_partial_shortcut,
)
from cnn_export.reparam.program_pass import PassResult, ProgramPass, Refusal


class CanonicalPartialShortcuts(ProgramPass):
    """y + pad(x[:, :k])  ⇒  cat([y[:, :k] + x[:, :k], y[:, k:]], 1).

    *Given* a sum that covers channels ``a … b`` of ``y`` only: ``y + pad(p)``,
    ``y + cat([p, zeros])``, ``slice_scatter(y, y[:, a:b] + p)`` or the concatenation with its
    operands in any order; ``p`` is a slice of some ``x`` or any tensor of ``b - a`` channels.
    *Result* one spelling, of ``slice``, ``add`` and ``cat``; where the sum covers all channels,
    plain ``y + x``.
    """

    def rewrite(self, graph_module: fx.GraphModule) -> PassResult:
        """Respell every such sum."""
        rewrites: list[str] = []
        refusals: list[Refusal] = []
        written = written_nodes(graph_module.graph)
        for node in list(graph_module.graph.nodes):
            found = _read(graph_module, node)
            if isinstance(found, PartialShortcut):
                found = _obstacle(node, found, written) or found
            if isinstance(found, str):
                refusals.append(Refusal(node.name, found))
            elif found is not None and _respell(node, found):
                rewrites.append(node.name)
        return PassResult(self.name, tuple(rewrites), tuple(refusals))


def _respell(node: fx.Node, found: PartialShortcut) -> bool:
    """Bring the node into the canonical form; return whether anything had to be done."""
    turned = put_base_first(node, found)
    if is_canonical(node, found):
        return turned
    replace(node, insert_partial_shortcut(found, before=node, like=node))
    return True


def _read(graph_module: fx.GraphModule, node: fx.Node) -> PartialShortcut | str | None:
    """Return the sum a node is, the reason why it only looks like one, or ``None``."""
    name = operator_name(node)
    if name == "add":
        return _read_add(graph_module, node)
    if name == "slice_scatter":
        return _read_scatter(node)
    return read_partial_shortcut(node) if name == "cat" else None


def _read_add(graph_module: fx.GraphModule, node: fx.Node) -> PartialShortcut | str | None:
    bound = arguments(node)
    operands = (bound["self"], bound["other"])
    if not all(has_tensor(each) for each in operands):
        return None
    for base, padded in (operands, operands[::-1]):
        addends = read_padded(graph_module, padded)
        if isinstance(addends, list):
            if plain_sum(node) is None:
                return f"it scales or broadcasts what it adds to {base.name}"
            return PartialShortcut(base, merged(addends))
        if addends is not None:
            return addends
    return None


def _read_scatter(node: fx.Node) -> PartialShortcut | str | None:
    bound = arguments(node)
    base, values = bound["self"], bound["src"]
    size = channels(values)
    start = bound["start"] or 0
    if bound["dim"] % value_of(node).ndim != 1 or size is None or not isinstance(start, int):
        return None
    if bound["step"] != 1:
        return f"it writes every {bound['step']}th channel of {base.name}"
    start += (channels(base) or 0) if start < 0 else 0
    addend = addend_in_place(base, values, start)
    if addend is None:
        return f"{values.name} adds nothing to channels {start} to {start + size} of {base.name}"
    return PartialShortcut(base, (addend,))


def _obstacle(node: fx.Node, found: PartialShortcut, written: set[fx.Node]) -> str | None:
    sources = [found.base, *(each.values.source for each in found.addends)]
    for each in (node, *node.all_input_nodes, *sources):
        if each in written:
            return f"{each.name} is written to in place"
    return None
