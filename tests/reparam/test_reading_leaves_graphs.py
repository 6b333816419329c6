"""No helper that is named for reading edits a graph, or a value that it stores.

Functions of ``reparam`` and of the targets that take graphs and nodes alone, and are not named as a
change, are called on every node of graphs that hold what passes look for. New ones are found by
their annotations; those that take more than graphs and nodes are not called.
"""

from __future__ import annotations

import copy
import importlib
import inspect
import itertools
import pkgutil
import typing
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from pass_checks import graph_of
from torch import fx, nn
from torch.nn import functional as F

import cnn_export.reparam
import cnn_export.targets
from cnn_export.reparam.passes.partial_shortcuts import approximate_shortcuts

CHANGES = {
    *("adopt", "approximate", "bypass", "call", "carry", "cast", "convert", "detach", "drop"),
    *(
        "fold",
        "give",
        "infer",
        "insert",
        "keep",
        "let",
        "lift",
        "merge",
        "move",
        "narrow",
        "own",
        "pad",
    ),
    *("put", "redirect", "register", "repeat", "replace", "resize", "respell"),
    *(
        "reparameterize",
        "inherit",
        "discount",
        "rewrite",
        "round",
        "run",
        "shorten",
        "splice",
        "turn",
        "with",
        "write",
        "clean",
    ),
}
"""First words of names that say: this changes a graph, or adds to one."""

Helper = Callable[..., Any]


class _Network(nn.Module):
    """Slices, partial shortcuts, normalization, borders, pools and gates of two branches."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.side = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 1)
        self.norm = nn.BatchNorm2d(8)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        x = F.pad(self.norm(self.conv(image)), (1, 1, 1, 1))
        y = self.side(x) + F.hardsigmoid(x)
        y = torch.cat([y[:, :4] + x[:, :4], y[:, 4:]], 1) + torch.sigmoid(y[:, :4]).repeat(
            1, 2, 1, 1
        )
        y = F.max_pool2d(F.relu6(y), 3, 2, 1, ceil_mode=True) * 2
        return F.avg_pool2d(y, 2).flatten(1) + y.mean((2, 3)).sum()


class _Written(nn.Module):
    """Writes in place, through a slice."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        y = image.clone()
        y[:, :1] += image[:, 1:2]
        return F.relu_(y).view(1, -1)


def _modules() -> Iterator[Any]:
    for package in (cnn_export.reparam, cnn_export.targets):
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            yield importlib.import_module(found.name)


def _is_change(name: str) -> bool:
    words = name.strip("_")
    return any(words == verb or words.startswith(f"{verb}_") for verb in CHANGES)


def _arguments(helper: Helper) -> list[Any] | None:
    """Return the types of the arguments a helper needs, if all can be made and one is a graph."""
    try:
        hints = typing.get_type_hints(helper)
    except NameError:  # a type that is imported for the checker alone
        return None
    needed = [
        hints.get(name)
        for name, each in inspect.signature(helper).parameters.items()
        if each.default is each.empty
    ]
    made = (fx.GraphModule, fx.Graph, fx.Node, set[fx.Node], dict[fx.Node, int], object, Any)
    graphs = {fx.GraphModule, fx.Graph, fx.Node}
    if not graphs.intersection(needed) or any(each not in made for each in needed):
        return None
    return needed


def helpers() -> dict[str, tuple[Helper, list[Any]]]:
    """Return every reading helper by its full name, with the arguments it needs."""
    found: dict[str, tuple[Helper, list[Any]]] = {}
    for module in _modules():
        for name, each in vars(module).items():
            if inspect.isfunction(each) and each.__module__ == module.__name__:
                arguments = None if _is_change(name) else _arguments(each)
                if arguments is not None:
                    found[f"{module.__name__}.{name}"] = each, arguments
    return found


def _calls(graph_module: fx.GraphModule, needed: list[Any]) -> Iterator[tuple[Any, ...]]:
    """Yield arguments: every node, and every pair of a node and what it reads."""
    nodes = list(graph_module.graph.nodes)
    positions = {node: position for position, node in enumerate(nodes)}
    given: dict[Any, Any] = {
        fx.GraphModule: graph_module, fx.Graph: graph_module.graph,
        set[fx.Node]: set(), dict[fx.Node, int]: positions,
    }  # fmt: skip
    free = [each for each in needed if each not in given]
    for node in nodes if free else nodes[:1]:
        others = itertools.chain([node], node.all_input_nodes, node.users)
        for other in others if len(free) > 1 else [node]:
            chosen = iter((node, *[other] * len(free)))
            yield tuple(given[each] if each in given else next(chosen) for each in needed)


def _state(
    graph_module: fx.GraphModule,
) -> tuple[str, dict[str, tuple[int, bytes]], list[list[str]]]:
    stored = graph_module.state_dict(keep_vars=True)
    tensors = {name: (id(t), t.detach().numpy().tobytes()) for name, t in stored.items()}
    metas = [sorted(node.meta) for node in graph_module.graph.nodes]
    return str(graph_module.graph), tensors, metas


def changed_by(helper: Helper, needed: list[Any], graph_module: fx.GraphModule) -> bool:
    """Call a helper on everything it may be given; return whether the graph changed."""
    graph_module = copy.deepcopy(graph_module)
    before = _state(graph_module)
    for arguments in _calls(graph_module, needed):
        try:
            result = helper(*arguments)
            if inspect.isgenerator(result):
                list(result)
        except Exception:  # noqa: S110 # not meant for this node
            pass
    return _state(graph_module) != before


@pytest.fixture(scope="module")
def graphs() -> list[fx.GraphModule]:
    image = torch.randn(1, 3, 7, 9)
    return [graph_of(module, image) for module in (_Network(), _Written())]


def test_no_reading_helper_edits_a_graph(graphs: list[fx.GraphModule]) -> None:
    found = helpers()
    assert len(found) > 100
    changing = [
        name
        for name, (helper, needed) in found.items()
        if any(changed_by(helper, needed, each) for each in graphs)
    ]
    assert changing == []


def test_a_helper_that_edits_under_a_reading_name_is_found(
    graphs: list[fx.GraphModule], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What ``_sums_inside`` was: it returned a set, and let other nodes read elsewhere."""
    detach = approximate_shortcuts._detach_all_inner_sums

    def sums_inside(graph: fx.Graph) -> set[fx.Node]:
        found = detach(graph)
        graph.output_node().meta["seen"] = True
        return found

    sums_inside.__module__ = approximate_shortcuts.__name__
    monkeypatch.setattr(approximate_shortcuts, "_sums_inside", sums_inside, raising=False)
    helper, needed = helpers()[f"{approximate_shortcuts.__name__}._sums_inside"]
    assert changed_by(helper, needed, graphs[0])


def test_a_helper_that_edits_a_stored_value_is_found(graphs: list[fx.GraphModule]) -> None:
    def largest_weight(graph_module: fx.GraphModule) -> float:
        values = [parameter.data for parameter in graph_module.parameters()]
        return max(float(value.abs_().max()) for value in values)

    assert changed_by(largest_weight, [fx.GraphModule], graphs[0])
