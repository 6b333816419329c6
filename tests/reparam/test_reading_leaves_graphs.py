"""No function that is named for reading edits a graph, or a value that it stores.

All functions and methods of ``reparam``, quantization and the targets are watched at work on
graphs that hold what they look for; those that take nodes and graphs alone are called on such as
well. Every one that takes a graph has to have worked once, or stands in :data:`ELSEWHERE`.
"""

from __future__ import annotations

import copy
import importlib
import inspect
import itertools
import pkgutil
import typing
from collections.abc import Callable, Iterator
from types import FunctionType, ModuleType
from typing import Any

import graph_samples
import pytest
import reading_watch
from torch import fx

import cnn_export.quantization
import cnn_export.reparam
import cnn_export.targets
from cnn_export.reparam.passes.partial_shortcuts import (
    approximate_shortcuts,
    canonical_partial_shortcuts,
)

CHANGES = frozenset(
    {"adopt", "approximate", "bypass", "call", "carry", "cast", "change", "clean", "convert"}
    | {"detach", "discount", "drop", "fold", "give", "infer", "inherit", "insert", "keep", "let"}
    | {"lift", "merge", "move", "narrow", "own", "pad", "put", "reconnect", "redirect"}
    | {"register", "reparameterize", "repeat", "replace", "resize", "respell", "rewrite"}
    | {"round", "run", "shorten", "splice", "store", "sweep", "take", "turn", "visit", "with"}
    | {"write"}
)
"""First words of names that say: this changes a graph, or adds to one."""

ELSEWHERE = {
    **dict.fromkeys(
        (
            "reparam.proof.proof._incomparable",
            "reparam.proof.rounding._nudged_error",
        ),
        "asked only after a proof failed in ways of its own: test_proof",
    ),
    "reparam.passes.canonical.core_spellings._dropout": "of training alone: a refusal",
    "reparam.passes.partial_shortcuts.channel_split.obstacles._mismatch": "makes a message",
}
"""What takes graphs and is not run here, and why."""

Helper = Callable[..., Any]
MOST_NODES = 2
"""Nodes of one operator that a function is called on."""


def _modules() -> Iterator[ModuleType]:
    for package in (cnn_export.reparam, cnn_export.targets, cnn_export.quantization):
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            yield importlib.import_module(found.name)


def _is_change(name: str) -> bool:
    return name.startswith("__") or name.strip("_").partition("_")[0] in CHANGES


def readers() -> dict[str, FunctionType]:
    """Return every function and method that is not named as a change, by its full name."""
    found = reading_watch.functions_of(_modules())
    return {name: each for name, each in found if not _is_change(name.rpartition(".")[2])}


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


def _calls(graph_module: fx.GraphModule, needed: list[Any]) -> Iterator[tuple[Any, ...]]:
    """Yield arguments: nodes of every operator, and each with what it reads and who reads it."""
    nodes = list(graph_module.graph.nodes)
    positions = {node: position for position, node in enumerate(nodes)}
    given: dict[Any, Any] = {
        fx.GraphModule: graph_module, fx.Graph: graph_module.graph,
        set[fx.Node]: set(), dict[fx.Node, int]: positions,
    }  # fmt: skip
    free = [each for each in needed if each not in given]
    for node in _some_of_each(nodes) if free else nodes[:1]:
        others = itertools.chain([node], node.all_input_nodes, node.users)
        for other in others if len(free) > 1 else [node]:
            chosen = iter((node, *[other] * len(free)))
            yield tuple(given[each] if each in given else next(chosen) for each in needed)


def _some_of_each(nodes: list[fx.Node]) -> list[fx.Node]:
    kinds: dict[object, list[fx.Node]] = {}
    for node in nodes:
        kinds.setdefault(node.target if node.op == "call_function" else node.op, []).append(node)
    return [node for kind in kinds.values() for node in kind[:MOST_NODES]]


def changed_by(helper: Helper, needed: list[Any], graph_module: fx.GraphModule) -> bool | None:
    """Call a helper on what it may be given; whether the graph changed, ``None`` if all raised."""
    before, worked = reading_watch.state_of(graph_module.graph), False
    for arguments in _calls(graph_module, needed):
        try:
            result = helper(*arguments)
            if inspect.isgenerator(result):
                list(result)
            worked = True
        except Exception:  # noqa: S110 # not meant for this node
            pass
    if reading_watch.state_of(graph_module.graph) != before:
        return True
    return False if worked else None


@pytest.fixture(scope="module")
def graphs() -> list[fx.GraphModule]:
    return graph_samples.samples()


def test_no_reader_edits_a_graph(
    graphs: list[fx.GraphModule], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(*graph_samples.FREE_OPERATORS)
    found = readers()
    watch = reading_watch.Watch(found)
    jobs = itertools.chain.from_iterable(map(graph_samples.jobs, graphs))
    for job in itertools.chain(jobs, graph_samples.diagnoses(), graph_samples.quantized()):
        with watch:
            job()
    worked, changed = watch.called, watch.changed
    for name, each in found.items():
        needed = _arguments(each)
        if needed is None or name in changed:
            continue
        for graph_module in graphs[:3]:
            outcome = changed_by(each, needed, copy.deepcopy(graph_module))
            worked |= {name} if outcome is not None else set()
            changed |= {name} if outcome else set()
    assert sorted(changed) == []
    takers = {name for name, each in found.items() if reading_watch.takes_graphs(each)}
    assert len(takers) > 250
    idle = {name.removeprefix("cnn_export.") for name in takers - worked}
    assert " ".join(sorted(idle ^ ELSEWHERE.keys())) == ""


def test_an_edit_in_a_reader_with_more_arguments_is_found(
    graphs: list[fx.GraphModule], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What no annotation tells how to make: a partial shortcut, as its pass has found it."""
    original = canonical_partial_shortcuts._obstacle

    def _obstacle(node: fx.Node, found: Any, written: set[fx.Node]) -> str | None:
        node.meta["seen"] = True
        return original(node, found, written)

    _obstacle.__module__ = original.__module__
    monkeypatch.setattr(canonical_partial_shortcuts, "_obstacle", _obstacle)
    watch = reading_watch.Watch(readers())
    with watch:
        canonical_partial_shortcuts.CanonicalPartialShortcuts()(copy.deepcopy(graphs[0]))
    assert f"{original.__module__}._obstacle" in watch.changed


def test_an_edit_under_a_reading_name_is_found(
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
    helper = readers()[f"{approximate_shortcuts.__name__}._sums_inside"]
    assert changed_by(helper, [fx.Graph], copy.deepcopy(graphs[0]))


def test_an_edit_of_a_stored_value_is_found(graphs: list[fx.GraphModule]) -> None:
    def largest_weight(graph_module: fx.GraphModule) -> float:
        values = [parameter.data for parameter in graph_module.parameters()]
        return max(float(value.abs_().max()) for value in values)

    assert changed_by(largest_weight, [fx.GraphModule], copy.deepcopy(graphs[0]))


def test_a_reader_that_never_works_is_told_apart(graphs: list[fx.GraphModule]) -> None:
    def missing(node: fx.Node) -> int:
        return node.meta["no such key"]

    assert changed_by(missing, [fx.Node], copy.deepcopy(graphs[0])) is None
