"""A decision's graph and the float one, run side by side over the same samples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import fx

from cnn_export.quantization.decision import Decision
from cnn_export.quantization.scheme.simulation.fake_quantized import FakeQuantized


class BesideFloat(FakeQuantized):
    """Every node is computed in float first; subclasses see both values.

    Values that no later node reads are given up, in both runs.
    """

    def __init__(self, graph_module: fx.GraphModule, decision: Decision) -> None:
        super().__init__(graph_module, decision)
        self._float = fx.Interpreter(graph_module)

    def run_both(self, inputs: Sequence[torch.Tensor]) -> None:
        """Run one batch through both."""
        self._float.env = {}
        self._float.args_iter = iter(inputs)
        with torch.no_grad():
            self.run(*inputs)

    def run_node(self, n: fx.Node) -> Any:
        """Compute the node in float, then in the decision's numbers."""
        self._float.env[n] = self._float.run_node(n)
        value = super().run_node(n)
        self.compare(n, self._float.env[n], value)
        for last_read in self.user_to_last_uses.get(n, []):
            del self._float.env[last_read]
        return value

    def float_value(self, n: fx.Node) -> torch.Tensor:
        """Return the float value of the node that is being computed."""
        return self._float.env[n]

    def compare(self, n: fx.Node, expected: Any, got: Any) -> None:
        """See both values of a node, before anything else is computed."""
