"""Proof that a graph does to its input what a caller did to the original's, and nothing else."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import fx

from cnn_export.reparam.graph.copies import float64_copy
from cnn_export.reparam.graph.errors import ReparameterizationError
from cnn_export.reparam.graph.precision import default_dtype, promoted_default, working_dtype
from cnn_export.reparam.program_pass import ProgramPass
from cnn_export.reparam.proof.comparison import compared
from cnn_export.reparam.proof.probe import Probe, probe_inputs, run
from cnn_export.reparam.proof.proof import TOLERANCE
from cnn_export.reparam.report import Proof


def prove_input_map(
    original: fx.GraphModule,
    changed: fx.GraphModule,
    change: ProgramPass,
    caller: Callable[[torch.Tensor], torch.Tensor],
) -> Proof:
    """Compare ``changed(x)`` with ``original(caller(x))`` in float64, on large inputs.

    Both do the same arithmetic in the same order: no rounding excuses a difference.

    Raises:
        ReparameterizationError: they differ; names the pass.
    """
    dtype = working_dtype(original)
    inputs = probe_inputs(original, dtype, seed=0, kind="large")
    with default_dtype(promoted_default(dtype)):
        outputs = run(float64_copy(original, dtype), [caller(each) for each in inputs])
        error = compared(Probe(inputs, outputs), float64_copy(changed, dtype))
    if isinstance(error, str) or not error <= TOLERANCE:
        how = error if isinstance(error, str) else f"relative error {error:.3g} in float64"
        raise ReparameterizationError(
            f"pass {change.name} does not do what it should: {how}; report it", change.name
        )
    return Proof(error, TOLERANCE)
