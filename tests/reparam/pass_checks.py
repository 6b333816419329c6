"""Run one pass on one module and hold it to the contract that every pass shares."""

from __future__ import annotations

import dataclasses
from unittest import mock

import torch
from torch import fx, nn

from cnn_export.program import program
from cnn_export.program.program import capture
from cnn_export.reparam.graph.operators import operator_name
from cnn_export.reparam.program_pass import PassResult, ProgramPass
from cnn_export.reparam.proof.comparison import relative_error


@dataclasses.dataclass(frozen=True)
class Checked:
    """A graph after one pass, and what the pass said."""

    graph_module: fx.GraphModule
    result: PassResult

    @property
    def ops(self) -> list[str]:
        """Names of the ATen operators in order."""
        return operators(self.graph_module)

    @property
    def reasons(self) -> list[str]:
        """Reasons of all refusals."""
        return [refusal.reason for refusal in self.result.refusals]


def operators(graph_module: fx.GraphModule) -> list[str]:
    return [name for node in graph_module.graph.nodes if (name := operator_name(node))]


def graph_of(module: nn.Module, *inputs: torch.Tensor, dynamic: bool = False) -> fx.GraphModule:
    """Return the module's graph, in the dtype the module has."""
    return capture(module.eval(), inputs, dynamic_batch=dynamic).graph_module


def graph_as_traced(module: nn.Module, *inputs: torch.Tensor) -> fx.GraphModule:
    """Return the graph of a module that :func:`capture` refuses to run, or for being random."""
    with (
        mock.patch.object(program, "_run_once"),
        mock.patch.object(program, "refuse_obstacles"),
    ):
        return graph_of(module, *inputs)


def check_pass(
    program_pass: ProgramPass,
    module: nn.Module,
    *inputs: torch.Tensor,
    dynamic: bool = False,
    before: tuple[ProgramPass, ...] = (),
) -> Checked:
    """Run the pass on ``module`` in float64 and compare with the module itself.

    Checked are: equal results, a result that tells whether anything changed, a second run that
    changes nothing, no dead tensors, and shapes in ``meta`` that are those of the real values.
    """
    module = module.double().eval()
    inputs = tuple(each.double() for each in inputs)
    graph_module = graph_of(module, *inputs, dynamic=dynamic)
    for each in before:
        each(graph_module)
    if dynamic:
        inputs = tuple(torch.cat([each, each.flip(0) * 0.5, each]) for each in inputs)
    with torch.no_grad():
        expected = module(*(each.clone() for each in inputs))
    given = _state(graph_module)
    result = program_pass(graph_module)
    rewritten = _state(graph_module)
    assert result.modified == (given != rewritten)
    with torch.no_grad():
        actual = graph_module(*(each.clone() for each in inputs))
    assert relative_error(_tuple(expected), actual) <= 1e-12
    assert not program_pass(graph_module).modified
    assert _state(graph_module) == rewritten
    _check_attributes(graph_module, modified=result.modified)
    _check_shapes(graph_module, inputs)
    return Checked(graph_module, result)


def _state(graph_module: fx.GraphModule) -> tuple[str, dict[str, int]]:
    """Return the code of all nodes, and which tensor is stored under which name."""
    tensors = {name: id(tensor) for name, tensor in graph_module.state_dict(keep_vars=True).items()}
    return str(graph_module.graph), tensors


def _tuple(value: object) -> tuple[torch.Tensor, ...]:
    return (value,) if isinstance(value, torch.Tensor) else tuple(value)


def _check_attributes(graph_module: fx.GraphModule, *, modified: bool) -> None:
    read = {node.target for node in graph_module.graph.nodes if node.op == "get_attr"}
    if modified:
        assert set(graph_module.state_dict()) == read


def _check_shapes(graph_module: fx.GraphModule, inputs: tuple[torch.Tensor, ...]) -> None:
    class Compare(fx.Interpreter):
        def run_node(self, n: fx.Node) -> object:
            value = super().run_node(n)
            if isinstance(value, torch.Tensor):
                claimed = n.meta["val"]
                assert value.dtype == claimed.dtype
                assert len(claimed.shape) == value.ndim
                pairs = zip(claimed.shape, value.shape, strict=True)
                assert all(a == b for a, b in pairs if isinstance(a, int)), n.name
            return value

    with torch.no_grad():
        Compare(graph_module).run(*(each.clone() for each in inputs))
