"""Spell powers by products, roots, and exponentials of logarithms."""

from __future__ import annotations

import torch
from torch import fx

from cnn_export.reparam.graph.attributes import constant
from cnn_export.reparam.graph.operators import arguments, operator_name
from cnn_export.reparam.graph.surgery import Respelling
from cnn_export.reparam.program_pass import PassResult, ProgramPass, Refusal

_aten = torch.ops.aten
_LARGEST = 4


class PlainPowers(ProgramPass):
    """x²  ⇒  x·x    x^½  ⇒  √x    x^−½  ⇒  1/√x    x^p  ⇒  e^(p·log x).

    *Given* a power with one known exponent, whole (2 to 4) or not. *Result* operators that XNNPACK
    takes. For an exponent that is not whole both sides are NaN of negative numbers, and of zero 0
    or infinite.
    """

    def rewrite(self, graph_module: fx.GraphModule) -> PassResult:
        """Respell every such power."""
        rewrites: list[str] = []
        refusals: list[Refusal] = []
        for node in list(graph_module.graph.nodes):
            if operator_name(node) != "pow":
                continue
            bound = arguments(node)
            source, power = bound["self"], _number(graph_module, bound["exponent"])
            if power is None or not isinstance(source, fx.Node):
                refusals.append(Refusal(node.name, "its exponent is computed"))
            elif power.is_integer() and not 1 < power <= _LARGEST:
                refusals.append(Refusal(node.name, f"its exponent is {power:g}"))
            else:
                new = Respelling(graph_module, node)
                new.give(_insert_power(new, source, power))
                rewrites.append(node.name)
        return PassResult(self.name, tuple(rewrites), tuple(refusals))


def _number(graph_module: fx.GraphModule, exponent: object) -> float | None:
    if isinstance(exponent, (int, float)):
        return float(exponent)
    stored = constant(graph_module, exponent)
    return float(stored) if stored is not None and stored.numel() == 1 else None


def _insert_power(new: Respelling, source: fx.Node, power: float) -> fx.Node:
    if power == 0.5:
        return new.call(_aten.sqrt.default, source)
    if power == -0.5:
        return new.call(_aten.rsqrt.default, source)
    if power.is_integer():
        result = source
        for _ in range(int(power) - 1):
            result = new.call(_aten.mul.Tensor, result, source)
        return result
    logarithm = new.call(_aten.log.default, source)
    return new.call(_aten.exp.default, new.call(_aten.mul.Tensor, logarithm, power))
