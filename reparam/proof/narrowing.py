"""Proof that a narrowed graph computes what its original computes, but for rounding."""

from __future__ import annotations

import torch
from torch import fx

from cnn_export.reparam.graph.copies import copied
from cnn_export.reparam.graph.precision import cast, cast_stored
from cnn_export.reparam.program_pass import ProgramPass
from cnn_export.reparam.proof.probe import make_probes
from cnn_export.reparam.proof.proof import prove
from cnn_export.reparam.report import Proof

_FLOATING = (torch.bfloat16, torch.float16, torch.float32)


def prove_narrowed(
    original: fx.GraphModule, narrowed: fx.GraphModule, narrowing: ProgramPass, dtype: torch.dtype
) -> Proof:
    """Compare both in float64, over the original's weights rounded to ``dtype``.

    Every conversion inside becomes one to float64, so whatever the graphs differ by beyond the
    rounding of weights and intermediate values shows. How far that rounding itself goes is
    measured in the artifact's runtime, where its order is known.

    Raises:
        ReparameterizationError: they differ, or nothing can be proven of the network.
    """
    rounded = copied(original)
    for source in {
        each.dtype for each in original.state_dict().values() if each.is_floating_point()
    }:
        cast_stored(rounded, source, dtype)

    def reference() -> fx.GraphModule:
        return _widened(rounded)

    return prove(make_probes(reference()), _widened(narrowed), [narrowing], reference)


def _widened(graph_module: fx.GraphModule) -> fx.GraphModule:
    """Return a copy in which every floating tensor and dtype is float64."""
    duplicate = copied(graph_module)
    for dtype in _FLOATING:
        cast(duplicate, dtype, torch.float64)
    return duplicate
