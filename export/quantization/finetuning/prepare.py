"""``cnn_export.quantization.prepare``: a network that a training loop trains as int8 sees it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import nn

from cnn_export.program.program import Program, capture
from cnn_export.quantization.finetuning.prepared_module import PreparedModule
from cnn_export.quantization.scheme.decide import decide
from cnn_export.quantization.scheme.observation.observe import observe
from cnn_export.quantization.scheme.options import SchemeOptions
from cnn_export.reparam import reparameterize_graph
from cnn_export.reparam.graph.copies import own_tensors
from cnn_export.reparam.pass_pipeline import DEFAULT_PASSES
from cnn_export.targets.legalizations import INT8

_INT8_PASSES = tuple(each.program_pass for each in INT8.passes)

Calibration = Iterable[torch.Tensor | Sequence[torch.Tensor]]


def prepare(
    module: nn.Module,
    example_inputs: torch.Tensor | Sequence[torch.Tensor],
    calibration: Calibration,
    options: SchemeOptions | None = None,
    *,
    dynamic_batch: bool = True,
) -> PreparedModule:
    """Return a trainable module that computes with the roundings of an int8 decision.

    The network is reparameterized first, as for every export: batch normalization is folded and
    keeps its statistics. The decision is made once, from ``calibration``, and stays: training moves
    weights on its grid. ``PreparedModule.save`` writes a checkpoint that exports with it. The
    module given stays as it is.

    Args:
        module: the network, on the CPU, in float32.
        example_inputs: one tensor per argument of ``forward``; their batch is of no matter, unless
            ``dynamic_batch`` is off.
        calibration: batches of inputs, gone through twice: a list or a loader, no generator. Of
            tuples only as many tensors are taken as the network has inputs, so labels may follow.
        options: how ranges are chosen, and what stays float.
        dynamic_batch: take any batch up to 64.

    Raises:
        InputRefused: the network cannot be traced, or the data hold NaN or nothing.
        UsageError: ``options`` name a layer that is not there.
    """
    inputs = (example_inputs,) if isinstance(example_inputs, torch.Tensor) else example_inputs
    traced = capture(module, inputs, dynamic_batch=dynamic_batch)
    reparameterize_graph(traced.graph_module, (*DEFAULT_PASSES, *_INT8_PASSES))
    program = _traced_again(traced)
    own_tensors(program.graph_module)
    count = len(program.inputs)
    statistics = observe(program.graph_module, lambda: _batches(calibration, count))
    return PreparedModule(program, decide(program.graph_module, statistics, options))


def _traced_again(program: Program) -> Program:
    """Return the program with the names that a later trace of it gives: a decision is by name."""
    network, inputs = program.graph_module, program.example_inputs
    again = capture(network, inputs, dynamic_batch=program.dynamic_batch)
    return dataclasses.replace(
        program, graph_module=again.graph_module, example_inputs=again.example_inputs
    )


def _batches(calibration: Calibration, count: int) -> Iterator[Sequence[torch.Tensor]]:
    for batch in calibration:
        yield (batch,) if isinstance(batch, torch.Tensor) else tuple(batch)[:count]
