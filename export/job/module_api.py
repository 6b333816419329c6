"""``cnn_export.reparameterize``: the reparameterization stage for a module in memory."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping, Sequence

import torch
from torch import fx, nn
from torch.export import ExportedProgram

from cnn_export.errors import InputRefused, UsageError, nearest
from cnn_export.program.calling_convention import call_by_name
from cnn_export.program.program import Program, capture
from cnn_export.reparam import Report, reparameterize_graph
from cnn_export.reparam.graph.aliases import written_nodes
from cnn_export.reparam.graph.copies import copied, own_tensors
from cnn_export.reparam.pass_pipeline import DEFAULT_PASSES
from cnn_export.reparam.program_pass import ProgramPass

ExampleInputs = torch.Tensor | Sequence[torch.Tensor] | Mapping[str, torch.Tensor]


def reparameterize(
    source: nn.Module | Program | ExportedProgram,
    example_inputs: ExampleInputs | None = None,
    *,
    passes: Sequence[ProgramPass] = DEFAULT_PASSES,
    dynamic_batch: bool = False,
    tolerance: float | None = None,
) -> tuple[fx.GraphModule, Report]:
    """Return a smaller network in evaluation mode that computes the same, and what was done.

    The result is called like the module: inputs by position or name, outputs in the same
    structure. It owns its tensors, in the module's dtype; those made by a rewrite require grad if
    any parameter of the module did. It takes inputs of the example's shape only (any batch with
    ``dynamic_batch``) and refuses others. ``source`` stays as it is.

    Args:
        source: the network, on the CPU. ``train()`` changes nothing in the result: batch
            normalization keeps its statistics and dropout is gone.
        example_inputs: floating or integer tensors in the order of ``forward``'s arguments, or by
            their names; a program may go without.
        passes: what to run, in order; ``DEFAULT_PASSES`` by default.
        dynamic_batch: keep dimension 0 of every input free, from 1 to 64.
        tolerance: limit of the proof, ``max |a - b| / rms(a)`` in float64; default 1e-9, or what
            rounding alone does to the network where that is more.

    Raises:
        UsageError: an argument is not of the kind described.
        InputRefused: the network cannot be traced at these inputs, keeps state between calls,
            or lives on another device.
        ReparameterizationError: a pass failed or changed the result; ``pass_name`` names it.
    """
    if tolerance is not None and not (0 < tolerance < math.inf):
        raise UsageError(f"tolerance is {tolerance}; give a positive number, or leave it out")
    program = _captured(source, example_inputs, dynamic_batch)
    _require_stateless(program.graph_module)
    trainable = _trainable(source)
    graph_module = program.graph_module
    if isinstance(source, Program):
        graph_module = copied(graph_module)
    report = reparameterize_graph(graph_module, passes, tolerance=tolerance)
    own_tensors(graph_module)
    _require_grad(graph_module, trainable)
    tree, shapes = program.output_tree, [spec.shape for spec in program.inputs]
    call_by_name(graph_module, [spec.name for spec in program.inputs], shapes, tree)
    return graph_module, report


def _captured(
    source: nn.Module | Program | ExportedProgram, given: ExampleInputs | None, dynamic_batch: bool
) -> Program:
    if isinstance(source, Program):
        if given is not None or dynamic_batch:
            raise InputRefused("a program has its own inputs and batch; give the program alone")
        return source
    network = _network(source)
    if given is None:
        raise InputRefused(
            f"{type(network).__name__} is traced on example inputs; give one tensor per argument"
        )
    _require_cpu(network)
    return capture(network, _ordered(network, given), dynamic_batch=dynamic_batch)


def _network(source: nn.Module | ExportedProgram) -> nn.Module:
    if isinstance(source, nn.Module):
        return source
    if not isinstance(source, ExportedProgram):  # pyright: ignore[reportUnnecessaryIsInstance] # callers without types
        raise UsageError(f"reparameterize() takes a torch.nn.Module, not a {type(source).__name__}")
    return source.module(check_guards=False)


def _ordered(module: nn.Module, given: ExampleInputs) -> tuple[torch.Tensor, ...]:
    """Return the example inputs in the order of ``forward``'s arguments."""
    if isinstance(given, torch.Tensor):
        given = (given,)
    if not isinstance(given, (Sequence, Mapping)):  # pyright: ignore[reportUnnecessaryIsInstance] # callers without types
        raise UsageError(f"example_inputs is a {type(given).__name__}; give tensors")
    values = _by_name(module, given) if isinstance(given, Mapping) else tuple(given)
    if not values:
        raise InputRefused("the network has no input; give one example tensor per argument")
    for position, value in enumerate(values):
        if not isinstance(value, torch.Tensor):  # pyright: ignore[reportUnnecessaryIsInstance] # callers without types
            raise InputRefused(
                f"example input {position} is a {type(value).__name__}; give tensors, one per "
                "argument of forward"
            )
        if value.numel() == 0:
            raise InputRefused(
                f"example input {position} of shape {tuple(value.shape)} is empty; give an image"
            )
    return values


def _by_name(module: nn.Module, given: Mapping[str, torch.Tensor]) -> tuple[torch.Tensor, ...]:
    names = list(inspect.signature(module.forward).parameters)
    unknown = [name for name in given if name not in names]
    if unknown:
        hint = nearest(unknown[0], names)
        raise InputRefused(f"forward has no argument {unknown[0]!r}.{hint}")
    leading = names[: len(given)]
    if set(leading) != set(given):
        missing = next(name for name in leading if name not in given)
        raise InputRefused(f"example_inputs lack {missing!r}; give the arguments before it too")
    return tuple(given[name] for name in leading)


def _require_cpu(network: nn.Module) -> None:
    for name, tensor in (*network.named_parameters(), *network.named_buffers()):
        if tensor.device.type != "cpu":
            raise InputRefused(
                f"{name} is on {tensor.device}; move the network to the CPU, and the result back"
            )


def _require_stateless(graph_module: fx.GraphModule) -> None:
    for node in written_nodes(graph_module.graph):
        if node.op == "get_attr":
            raise InputRefused(
                f"forward writes to {node.target}; a network that keeps state between calls "
                "cannot be reparameterized: return the new state instead"
            )


def _trainable(source: nn.Module | Program | ExportedProgram) -> dict[str, bool]:
    if isinstance(source, ExportedProgram):
        parameters = dict(source.named_parameters())
    else:
        module = source.graph_module if isinstance(source, Program) else source
        parameters = dict(module.named_parameters())
    return {name: parameter.requires_grad for name, parameter in parameters.items()}


def _require_grad(graph_module: fx.GraphModule, trainable: Mapping[str, bool]) -> None:
    for name, parameter in graph_module.named_parameters():
        if parameter.is_floating_point():
            parameter.requires_grad_(trainable.get(name, any(trainable.values())))
