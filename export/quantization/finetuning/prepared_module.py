"""A network with the roundings of a decision, trained like any other module."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils import _pytree as pytree

from cnn_export.program.program import Program, export_graph
from cnn_export.quantization.decision import Decision
from cnn_export.quantization.finetuning.recorded_decision import save_with_decision
from cnn_export.quantization.scheme.simulation.fake_quantized import FakeQuantized
from cnn_export.reparam.graph.copies import copied


class PreparedModule(nn.Module):
    """What ``prepare`` returns.

    Parameters are the reparameterized network's, in float32. ``forward`` rounds them and the
    activations to the decision's grid and lets gradients through where nothing is clipped.
    """

    def __init__(self, program: Program, decision: Decision) -> None:
        super().__init__()
        self.network = program.graph_module
        self._program = program
        self._decision = decision
        for parameter in self.network.parameters():
            parameter.requires_grad_(parameter.is_floating_point())

    @property
    def decision(self) -> Decision:
        """The decision, which training does not change."""
        return self._decision

    def forward(self, *inputs: torch.Tensor) -> Any:
        """Return what the network returns, in its own structure."""
        outputs = FakeQuantized(self.network, self._decision).run(*inputs)
        tree = self._program.output_tree
        if tree is None:
            return outputs[0] if len(outputs) == 1 else outputs
        leaves: list[Any] = [None] * tree.spec.num_leaves
        for position, value in zip(tree.kept, outputs, strict=True):
            leaves[position] = value
        return pytree.tree_unflatten(leaves, tree.spec)

    def save(self, path: Path | str) -> None:
        """Write a ``.pt2`` of the float network as it is now, with the decision beside it."""
        program = self._program
        with torch.no_grad():
            exported = export_graph(
                copied(self.network), program.example_inputs, program.dynamic_batch
            )
        # What the file says of its inputs is what an export makes of it: one sample, not a batch.
        exported.example_inputs = (program.example_inputs_of_one(), {})
        save_with_decision(exported, self._decision, Path(path))
