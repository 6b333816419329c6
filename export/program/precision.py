"""Half precision as a rewrite of the program: half inside, float32 at the border.

Used by the formats whose converters have no precision option of their own. Inputs and outputs
stay float32, so a caller never has to know which precision a file holds.
"""

from __future__ import annotations

import copy

import torch
from torch import nn

from cnn_export.errors import OperatorRefused, one_line
from cnn_export.program.program import Program, capture


class _HalfInside(nn.Module):
    def __init__(self, program: Program) -> None:
        super().__init__()
        self.inner = copy.deepcopy(program.graph_module).half()

    def forward(self, *inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        halved = [t.half() if t.is_floating_point() else t for t in inputs]
        outputs = self.inner(*halved)
        return tuple(t.float() if t.is_floating_point() else t for t in outputs)


def to_half(program: Program) -> Program:
    """Return the program computing in float16 between float32 inputs and outputs.

    Raises:
        OperatorRefused: the graph fixes a dtype inside, so it cannot run in half precision.
    """
    inner = _HalfInside(program)
    try:
        halved = capture(
            inner, program.example_inputs_of_one(), dynamic_batch=program.dynamic_batch
        )
    except Exception as error:
        reason = f"the network cannot run in float16: {one_line(error)}; use --precision fp32"
        raise OperatorRefused(reason, [reason]) from error
    return program.with_graph(halved.graph_module)
