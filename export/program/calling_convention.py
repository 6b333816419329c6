"""Give a flat graph the calling convention of the module it was traced from."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import torch
from torch import fx, nn
from torch.fx.graph import _PyTreeCodeGen, _PyTreeInfo  # pyright: ignore[reportPrivateUsage] # the one way fx knows to take names and return trees
from torch.utils import _pytree as pytree

from cnn_export.errors import InputRefused


@dataclasses.dataclass(frozen=True)
class OutputTree:
    """What ``forward`` returned: the nesting, and which of its leaves are tensors.

    The leaves that ``kept`` does not count are ``None``.
    """

    spec: pytree.TreeSpec
    kept: tuple[int, ...]


class InputShapes(nn.Module):
    """Refuses inputs of other shapes than those a graph was traced for.

    Sizes are constants of the graph (a pool's window, a reshape), so another shape could give a
    wrong result where the module it came from gave the right one.
    """

    _is_impure = True
    """Tells ``torch.fx`` to keep the call although nothing reads its result."""

    def __init__(self, names: Sequence[str], shapes: Sequence[tuple[int, ...]]) -> None:
        """Take the inputs in order; a size of -1 (the dynamic batch) may be any."""
        super().__init__()
        self.names = tuple(names)
        self.shapes = tuple(shapes)

    def forward(self, *inputs: torch.Tensor) -> None:
        """Check one call.

        Raises:
            InputRefused: names the input, its shape and the shape it must have.
        """
        for name, wanted, tensor in zip(self.names, self.shapes, inputs, strict=True):
            pairs = zip(wanted, tensor.shape, strict=False)
            if len(wanted) != tensor.ndim or any(a not in (-1, b) for a, b in pairs):
                raise InputRefused(
                    f"input {name!r} has shape {_text(tensor.shape)}, this network was "
                    f"reparameterized for {_text(wanted)}; reparameterize it for that shape"
                )


def call_by_name(
    graph_module: fx.GraphModule,
    names: Sequence[str],
    shapes: Sequence[tuple[int, ...]],
    tree: OutputTree | None,
) -> None:
    """Let the graph take its inputs by ``names``, check their shapes and return ``tree``.

    Edits in place. ``names`` and ``shapes`` follow the graph's placeholders.
    """
    graph = graph_module.graph
    placeholders = [node for node in graph.nodes if node.op == "placeholder"]
    graph_module.add_module("input_shapes", InputShapes(names, shapes))
    with graph.inserting_after(placeholders[-1]):
        graph.call_module("input_shapes", tuple(placeholders))
    output = graph.output_node()
    tree = tree or _flat_tree(output.args[0])
    output.args = (_leaves(output.args[0], tree),)
    in_spec = pytree.tree_structure((tuple(names), {}))
    graph.set_codegen(_PyTreeCodeGen(_PyTreeInfo(list(names), in_spec, tree.spec)))
    # torch.export's own tracer takes arguments that unpickling a module does not give.
    graph_module._tracer_cls = graph._tracer_cls = None  # pyright: ignore[reportPrivateUsage]
    graph_module.recompile()


def _flat_tree(flat: object) -> OutputTree:
    count = len(flat) if isinstance(flat, (list, tuple)) else 1
    return OutputTree(pytree.tree_structure((0,) * count), tuple(range(count)))


def _leaves(flat: object, tree: OutputTree) -> list[fx.Node | None]:
    leaves: list[fx.Node | None] = [None] * tree.spec.num_leaves
    nodes = flat if isinstance(flat, (list, tuple)) else ()
    for position, node in zip(tree.kept, nodes, strict=True):
        leaves[position] = node
    return leaves


def _text(shape: Sequence[int]) -> str:
    return "x".join("N" if size == -1 else str(size) for size in shape) or "a scalar"
