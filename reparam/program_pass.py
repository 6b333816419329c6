"""The contract of a pass, and the values it returns.

A pass takes a ``torch.fx.GraphModule`` of ATen operators (parameters as attributes), edits it in
place, and returns a :class:`PassResult` that tells the truth: what fired and where, what was
refused and why. Running it again must change nothing.
"""

from __future__ import annotations

import abc
import dataclasses

from torch import fx

from cnn_export.reparam.graph.attributes import drop_unused_attributes


@dataclasses.dataclass(frozen=True)
class Refusal:
    """A place where a pass could have fired and did not."""

    node: str
    reason: str


@dataclasses.dataclass(frozen=True)
class Figures:
    """Modelled cost of one region for one image.

    ``bytes`` are what its operators read (inputs and weights) and write, at four bytes an element.
    """

    macs: int
    bytes: int


@dataclasses.dataclass(frozen=True)
class Decision:
    """One region whose cheaper form was weighed: the figures of both, and what was chosen.

    ``reason`` is empty where the merged form was taken.
    """

    node: str
    taken: bool
    before: Figures
    after: Figures
    reason: str = ""


@dataclasses.dataclass(frozen=True)
class PassResult:
    """What one run of one pass did. ``rewrites`` names the node each rewrite started from."""

    name: str
    rewrites: tuple[str, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    decisions: tuple[Decision, ...] = ()

    @property
    def modified(self) -> bool:
        """Whether the graph changed."""
        return bool(self.rewrites)


class ProgramPass(abc.ABC):
    """One rewrite. Subclasses give the formula and *given ⇒ result* in their docstring.

    Tensors are never written to, only replaced: graphs of one network may share them.
    """

    @property
    def name(self) -> str:
        """The pass's class name, as shown in reports."""
        return type(self).__name__

    @abc.abstractmethod
    def rewrite(self, graph_module: fx.GraphModule) -> PassResult:
        """Edit the graph in place and report."""

    def __call__(self, graph_module: fx.GraphModule) -> PassResult:
        """Run the pass and leave the module consistent: no dead nodes or weights, fresh code."""
        result = self.rewrite(graph_module)
        if result.modified:
            graph_module.graph.eliminate_dead_code()
            drop_unused_attributes(graph_module)
            graph_module.graph.lint()
            graph_module.recompile()
        return result
