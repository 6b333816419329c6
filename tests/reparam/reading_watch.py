"""Watch functions at work: does one that is named for reading leave the graph as it was?

Passes call them with the arguments that they are meant for, regions and parts of a match, which no
test could make up from the annotations alone. :class:`Watch` looks from the interpreter's profile
hook, so that nothing has to be patched; it compares the graphs that a function can reach through
its arguments when it is entered, and when it is left.
"""

from __future__ import annotations

import inspect
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from types import CodeType, FrameType, FunctionType, ModuleType, TracebackType
from typing import Any

from torch import fx

MOST_CALLS = 2
"""Calls of a function that are looked at, in each block that is watched."""

_DEPTH = 3
_FEW = 3
"""Entries of a container that are searched for nodes: they are of one graph."""


def functions_of(modules: Iterable[ModuleType]) -> Iterator[tuple[str, FunctionType]]:
    """Yield functions and methods with their full names."""
    for module in modules:
        for name, each in vars(module).items():
            if getattr(each, "__module__", None) != module.__name__:
                continue
            if inspect.isfunction(each):
                yield f"{module.__name__}.{name}", each
            elif inspect.isclass(each):
                for own, member in vars(each).items():
                    function = _function_of(member)
                    if function is not None and function.__module__ == module.__name__:
                        yield f"{module.__name__}.{name}.{own}", function


def _function_of(member: Any) -> FunctionType | None:
    inner = next(
        (getattr(member, name) for name in ("__func__", "fget", "func") if hasattr(member, name)),
        member,
    )
    return inner if inspect.isfunction(inner) else None


def takes_graphs(function: FunctionType) -> bool:
    """Whether an argument is annotated with graphs or nodes, perhaps inside of something."""
    return any(
        "fx." in str(each) for name, each in function.__annotations__.items() if name != "return"
    )


def state_of(graph: fx.Graph) -> tuple[Any, ...]:
    """Return what a reader may not change: nodes, what they read and hold, and stored tensors."""
    nodes = [
        (each, each.name, each.target, each.args, each.kwargs, [*each.meta], _ids(each.meta))
        for each in graph.nodes
    ]
    module = graph.owning_module
    stored = {} if module is None else module.state_dict(keep_vars=True)
    tensors = [(name, id(t), t.detach().numpy().tobytes()) for name, t in stored.items()]
    return nodes, tensors


def _ids(meta: Mapping[str, Any]) -> list[int]:
    return [id(value) for value in meta.values()]


class Watch:
    """Tells which of ``functions`` were ``called`` while it was on, and ``changed`` a graph."""

    def __init__(self, functions: Mapping[str, FunctionType]) -> None:
        self._names: dict[CodeType, str] = {each.__code__: n for n, each in functions.items()}
        self._open: list[tuple[FrameType, str, list[tuple[fx.Graph, tuple[Any, ...]]]]] = []
        self._looked_at: Counter[str] = Counter()
        self.called: set[str] = set()
        self.changed: set[str] = set()

    def __enter__(self) -> Watch:
        self._looked_at.clear()
        sys.setprofile(self._see)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        sys.setprofile(None)
        self._open.clear()

    def _see(self, frame: FrameType, event: str, _: object) -> None:
        if event == "call" and (name := self._names.get(frame.f_code)):
            self.called.add(name)
            if self._looked_at[name] < MOST_CALLS:
                self._look_at(frame, name)
        elif event == "return" and self._open and self._open[-1][0] is frame:
            _, name, before = self._open.pop()
            if any(state_of(graph) != state for graph, state in before):
                self.changed.add(name)

    def _look_at(self, frame: FrameType, name: str) -> None:
        code, found = frame.f_code, dict[int, fx.Graph]()
        for each in code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]:
            _collect(frame.f_locals.get(each), found)
        if found:
            self._looked_at[name] += 1
            self._open.append((frame, name, [(g, state_of(g)) for g in found.values()]))


def _collect(value: Any, found: dict[int, fx.Graph], depth: int = 0) -> None:
    """Add the graphs that a value is, belongs to, or holds."""
    if isinstance(value, fx.Node | fx.GraphModule):
        found[id(value.graph)] = value.graph
    elif isinstance(value, fx.Graph):
        found[id(value)] = value
    elif depth < _DEPTH:
        for each in _parts(value):
            _collect(each, found, depth + 1)


def _parts(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [each for pair in list(value.items())[:_FEW] for each in pair]
    if isinstance(value, list | tuple | set | frozenset):
        return list(value)[:_FEW]
    is_ours = type(value).__module__.startswith("cnn_export.")
    return list(getattr(value, "__dict__", {}).values()) if is_ours else []
