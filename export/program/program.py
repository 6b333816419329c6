"""The one representation of a network: a ``torch.export`` graph with named inputs and outputs.

Nothing after :func:`capture` knows a model class. The graph inside :class:`Program` is an
ordinary ``torch.fx.GraphModule`` of ATen operators whose parameters are attributes, so that
passes edit it freely; :meth:`Program.exported` hands targets a fresh ``ExportedProgram`` of it.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import warnings
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import fx, nn
from torch.export import Dim, ExportedProgram
from torch.fx.graph import CodeGen

from cnn_export.errors import InputRefused
from cnn_export.program.calling_convention import OutputTree
from cnn_export.program.dynamic_batch import batch_obstacle, batch_shapes
from cnn_export.program.network_copy import network_copy
from cnn_export.program.obstacles import refuse_obstacles, value_obstacle
from cnn_export.program.output_structures import flatten, make_known
from cnn_export.program.output_structures import output_names as named_outputs
from cnn_export.program.plain_layout import plain_layout, store_plainly
from cnn_export.program.regions import inline_regions
from cnn_export.program.source_lines import error_line
from cnn_export.program.tensors import TensorSpec
from cnn_export.program.whole_numbers import whole_outputs

BATCH_MAX = 64
"""Upper bound of a dynamic batch: memory-planning runtimes need one."""

_BATCH_TRACED = 16
"""Batch size that a dynamic batch is traced with.

One would be specialised, and below 16 torch's choice of convolution kernel bounds the batch at
15 when the program is decomposed later (measured: ExecuTorch then plans memory for 15).
"""


@dataclasses.dataclass(frozen=True)
class Program:
    """A captured network: flat tensors in, flat tensors out, both named and ordered.

    ``graph_module`` takes the inputs positionally and returns a tuple of tensors; ``output_tree``
    is how the network itself had nested them (``None``: not at all). ``whole_outputs`` names those
    that hold whole numbers, also where they were converted to a floating dtype.
    """

    graph_module: fx.GraphModule
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    example_inputs: tuple[torch.Tensor, ...]
    dynamic_batch: bool
    output_tree: OutputTree | None = None
    whole_outputs: frozenset[str] = frozenset()

    def example_inputs_of_one(self) -> tuple[torch.Tensor, ...]:
        """Return the example inputs; with a dynamic batch, the first of each."""
        return tuple(t[:1] if self.dynamic_batch else t for t in self.example_inputs)

    def with_graph(self, graph_module: fx.GraphModule) -> Program:
        """Return the same program over a rewritten graph (names and shapes unchanged).

        Its inputs and outputs may have other dtypes: a quantized graph may take integers.
        """
        given = _values(graph_module.graph.find_nodes(op="placeholder"))
        return dataclasses.replace(
            self,
            graph_module=graph_module,
            inputs=_with_dtypes(self.inputs, given),
            outputs=_with_dtypes(self.outputs, _output_values(graph_module)),
            example_inputs=tuple(
                tensor.to(value.dtype)
                for tensor, value in zip(self.example_inputs, given, strict=True)
            ),
        )

    @functools.cached_property
    def exported(self) -> ExportedProgram:
        """The graph as a fresh ``ExportedProgram``; shared by all targets of one job."""
        return export_graph(self.graph_module, self.example_inputs, self.dynamic_batch)


def capture(
    module: nn.Module,
    example_inputs: Sequence[torch.Tensor],
    *,
    dynamic_batch: bool = False,
) -> Program:
    """Trace a copy of ``module``, in evaluation mode, into a :class:`Program`.

    Inputs are named after the arguments of ``forward``; outputs after the keys of a returned dict
    or the fields of a dataclass, else ``output`` (one) or ``output_0``, ``output_1``, … (several).

    Raises:
        InputRefused: the module cannot be traced with these inputs, or what it returns cannot
            be named outputs; says why and, where known, at which line of the network.
    """
    given, module = module, network_copy(module)
    inputs = tuple(plain_layout(tensor.detach()) for tensor in example_inputs)
    if dynamic_batch:
        inputs = tuple(torch.cat([t[:1]] * _BATCH_TRACED) for t in inputs)
    _run_once(given, inputs)
    exported = _trace(module, inputs, dynamic_batch)
    graph_module, output_tree = _flat_graph_module(exported)
    refuse_obstacles(graph_module, type(given).__name__)
    store_plainly(graph_module)
    names = _input_names(module, graph_module)
    values = _output_values(graph_module)
    output_names = named_outputs(exported.call_spec.out_spec, len(values))
    _require_distinct([*names, *output_names])
    return Program(
        graph_module=graph_module,
        inputs=tuple(
            TensorSpec(name, _input_shape(tensor, dynamic_batch), tensor.dtype)
            for name, tensor in zip(names, inputs, strict=True)
        ),
        outputs=tuple(
            TensorSpec(name, _output_shape(value), value.dtype)
            for name, value in zip(output_names, values, strict=True)
        ),
        example_inputs=inputs,
        dynamic_batch=dynamic_batch,
        output_tree=output_tree,
        whole_outputs=whole_outputs(graph_module, output_names),
    )


def export_graph(
    module: nn.Module, inputs: tuple[torch.Tensor, ...], dynamic_batch: bool
) -> ExportedProgram:
    """Run ``torch.export`` on a module; with a dynamic batch, dimension 0 of every input."""
    batch = Dim("batch", min=1, max=BATCH_MAX)
    with warnings.catch_warnings():
        # torch's own tree code warns about itself on every deepcopy.
        warnings.simplefilter("ignore", FutureWarning)
        return torch.export.export(
            module,
            inputs,
            dynamic_shapes=batch_shapes(module, len(inputs), batch) if dynamic_batch else None,
            strict=False,
        )


def _run_once(module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
    """Call a copy of the network, before it is traced.

    What functions and classes remember (a grid under ``lru_cache``) then has values, where a trace
    would leave it without any, and a shape that the network does not take is told from what
    cannot be traced.

    Raises:
        InputRefused: the network fails; says where and why.
    """
    if isinstance(module, fx.GraphModule):
        return  # a graph remembers nothing
    try:
        with torch.no_grad():
            make_known(network_copy(module)(*inputs))
    except (Exception, SystemExit) as error:
        raise InputRefused(
            f"{type(module).__name__}{_network_line(error)} fails at input {_sizes(inputs)}: "
            f"{_first_line(error)}; give a shape it takes (--input-size, --input) or "
            "change the network"
        ) from error


def _sizes(inputs: Sequence[torch.Tensor]) -> str:
    return ", ".join("x".join(map(str, tensor.shape)) for tensor in inputs)


def _trace(
    module: nn.Module, inputs: tuple[torch.Tensor, ...], dynamic_batch: bool
) -> ExportedProgram:
    try:
        return export_graph(module, inputs, dynamic_batch)
    except InputRefused:
        raise
    except (Exception, SystemExit) as error:
        obstacle = batch_obstacle(error)
        if obstacle is not None:
            raise InputRefused(
                f"{type(module).__name__} cannot take every batch from 1 to {BATCH_MAX}: "
                f"{obstacle}; export it for one batch size or change the network"
            ) from error
        raise InputRefused(
            f"{type(module).__name__}{_network_line(error)} cannot be traced at input "
            f"{_sizes(inputs)}: "
            f"{value_obstacle(error) or _untraceable(error)}"
        ) from error


def _untraceable(error: BaseException) -> str:
    return f"{_first_line(error)}; it runs, and torch.export cannot follow it: change that line"


def _network_line(error: BaseException) -> str:
    line = error_line(error)
    return f" at {line}" if line else ""


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


def _flat_graph_module(exported: ExportedProgram) -> tuple[fx.GraphModule, OutputTree | None]:
    """Return the unlifted graph taking and returning flat tensors, and what it did return."""
    unlifted = exported.module(check_guards=False)
    graph = unlifted.graph
    graph.set_codegen(CodeGen())
    inline_regions(unlifted)
    _drop_kept(graph)
    output = graph.output_node()
    leaves = dict(enumerate(flatten(output.args[0])))
    kept = {position: value for position, value in leaves.items() if value is not None}
    for value in kept.values():
        if not isinstance(value, fx.Node):
            raise InputRefused(f"the model returns the constant {value!r}; return tensors only")
    if not kept:
        raise InputRefused("the model returns no tensor; its forward must return at least one")
    output.args = (tuple(kept.values()),)
    spec = exported.call_spec.out_spec
    tree = None if spec is None else OutputTree(spec, tuple(kept))
    return fx.GraphModule(unlifted, graph, class_name="Program"), tree


def _drop_kept(graph: fx.Graph) -> None:
    """Remove what the network only keeps, in a buffer that it does not read, for a later call."""
    for node in graph.find_nodes(op="call_function", target=torch.ops.aten.copy_.default):
        kept = node.args[0]
        if isinstance(kept, fx.Node) and kept.op == "get_attr" and not node.users:
            readers = [
                user
                for each in graph.find_nodes(op="get_attr", target=kept.target)
                for user in each.users
            ]
            if readers == [node]:
                graph.erase_node(node)


def _input_names(module: nn.Module, graph_module: fx.GraphModule) -> list[str]:
    placeholders = [node.name for node in graph_module.graph.nodes if node.op == "placeholder"]
    if isinstance(module, fx.GraphModule):
        return placeholders
    declared = [
        name
        for name, parameter in inspect.signature(module.forward).parameters.items()
        if parameter.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
    ]
    if len(declared) < len(placeholders):
        return placeholders
    return declared[: len(placeholders)]


def _output_values(graph_module: fx.GraphModule) -> list[torch.Tensor]:
    nodes: Any = graph_module.graph.output_node().args[0]
    return _values(nodes)


def _values(nodes: Iterable[fx.Node]) -> list[torch.Tensor]:
    return [node.meta["val"] for node in nodes]


def _with_dtypes(
    specs: Sequence[TensorSpec], values: Sequence[torch.Tensor]
) -> tuple[TensorSpec, ...]:
    return tuple(
        dataclasses.replace(spec, dtype=value.dtype)
        for spec, value in zip(specs, values, strict=True)
    )


def _require_distinct(names: Sequence[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise InputRefused(
                f"two inputs or outputs are called {name!r}; rename the argument of forward or the "
                "key of the returned dict"
            )


def _input_shape(tensor: torch.Tensor, dynamic_batch: bool) -> tuple[int, ...]:
    return (-1, *tensor.shape[1:]) if dynamic_batch else tuple(tensor.shape)


def _output_shape(value: torch.Tensor) -> tuple[int, ...]:
    # A dynamic size is a symbol; an output without a batch (anchors, say) has none.
    return tuple(-1 if isinstance(size, torch.SymInt) else size for size in value.shape)
