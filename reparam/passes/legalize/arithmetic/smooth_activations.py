"""Spell activations of exponentials and logarithms without comparisons."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import fx

from cnn_export.reparam.graph.operators import arguments, operator_name
from cnn_export.reparam.graph.surgery import Respelling
from cnn_export.reparam.program_pass import PassResult, ProgramPass, Refusal

_aten = torch.ops.aten
_SATURATION = 20.0
"""From here on exp(-x) is less than what one added to it can show in float32; torch's default."""

_SELU_ALPHA, _SELU_SCALE = 1.6732632423543772, 1.0507009873554805
"""Klambauer et al., arXiv 1706.02515, to the digits of float64."""

_Spelling = Callable[[Respelling, dict[str, Any]], fx.Node]


class SmoothActivations(ProgramPass):
    """softplus(x)  ⇒  max(x, 0) + log(1 + e^−|x|)    log_sigmoid(x)  ⇒  −softplus(−x).

    mish(x)  ⇒  x·n/(n + 2)    n = e·(e + 2)    e = e^min(x, 20)
    elu(x)  ⇒  max(x, 0) + (e^min(x, 0) − 1), selu and celu with their factors

    *Given* these operators. *Result* the same of operators that XNNPACK takes: spelled by torch
    itself they compare and select, and ExecuTorch calls its own kernel of ELU, so that each is two
    partitions. tanh(log(1 + e)) = ((1 + e)² − 1)/((1 + e)² + 1); above 20 both are 1 to the last
    digit of float64. Above its threshold torch's softplus leaves e^−20 out, 1e-10 of the value.
    """

    def rewrite(self, graph_module: fx.GraphModule) -> PassResult:
        """Respell every such activation."""
        rewrites: list[str] = []
        refusals: list[Refusal] = []
        for node in list(graph_module.graph.nodes):
            spelling = _SPELLINGS.get(operator_name(node))
            if spelling is None:
                continue
            bound = arguments(node)
            if bound.get("threshold", _SATURATION) < _SATURATION:
                refusals.append(Refusal(node.name, f"it is linear from {bound['threshold']} on"))
                continue
            new = Respelling(graph_module, node)
            new.give(spelling(new, bound))
            rewrites.append(node.name)
        return PassResult(self.name, tuple(rewrites), tuple(refusals))


def _insert_softplus(new: Respelling, bound: dict[str, Any]) -> fx.Node:
    beta = float(bound["beta"])
    scaled = _insert_times(new, bound["self"], beta)
    sloped = new.call(_aten.relu.default, scaled)
    return _insert_times(
        new, new.call(_aten.add.Tensor, sloped, _insert_rest(new, scaled)), 1 / beta
    )


def _insert_log_sigmoid(new: Respelling, bound: dict[str, Any]) -> fx.Node:
    source: fx.Node = bound["self"]
    return new.call(_aten.sub.Tensor, _insert_negative_part(new, source), _insert_rest(new, source))


def _insert_rest(new: Respelling, source: fx.Node) -> fx.Node:
    """Return log(1 + e^−|x|), which is at most log 2."""
    negative = new.call(_aten.neg.default, new.call(_aten.abs.default, source))
    one_more = new.call(_aten.add.Tensor, new.call(_aten.exp.default, negative), 1.0)
    return new.call(_aten.log.default, one_more)


def _insert_mish(new: Respelling, bound: dict[str, Any]) -> fx.Node:
    source: fx.Node = bound["self"]
    power = new.call(_aten.exp.default, new.call(_aten.clamp.default, source, None, _SATURATION))
    product = new.call(_aten.mul.Tensor, power, new.call(_aten.add.Tensor, power, 2.0))
    gate = new.call(_aten.div.Tensor, product, new.call(_aten.add.Tensor, product, 2.0))
    return new.call(_aten.mul.Tensor, source, gate)


def _insert_elu(new: Respelling, bound: dict[str, Any]) -> fx.Node:
    alpha, scale, inner = (float(bound[each]) for each in ("alpha", "scale", "input_scale"))
    return _insert_scaled_elu(new, bound["self"], alpha, scale, inner)


def _insert_selu(new: Respelling, bound: dict[str, Any]) -> fx.Node:
    return _insert_scaled_elu(new, bound["self"], _SELU_ALPHA, _SELU_SCALE, 1.0)


def _insert_celu(new: Respelling, bound: dict[str, Any]) -> fx.Node:
    alpha = float(bound["alpha"])
    return _insert_scaled_elu(new, bound["self"], alpha, 1.0, 1 / alpha)


def _insert_scaled_elu(
    new: Respelling, source: fx.Node, alpha: float, scale: float, inner: float
) -> fx.Node:
    power = new.call(
        _aten.exp.default, _insert_times(new, _insert_negative_part(new, source), inner)
    )
    curved = _insert_times(new, new.call(_aten.sub.Tensor, power, 1.0), alpha)
    straight = new.call(_aten.relu.default, source)
    return _insert_times(new, new.call(_aten.add.Tensor, straight, curved), scale)


def _insert_negative_part(new: Respelling, source: fx.Node) -> fx.Node:
    return new.call(_aten.clamp.default, source, None, 0.0)


def _insert_times(new: Respelling, value: fx.Node, factor: float) -> fx.Node:
    return value if factor == 1 else new.call(_aten.mul.Tensor, value, factor)


_SPELLINGS: dict[str, _Spelling] = {
    "softplus": _insert_softplus,
    "log_sigmoid": _insert_log_sigmoid,
    "mish": _insert_mish,
    "elu": _insert_elu,
    "selu": _insert_selu,
    "celu": _insert_celu,
}
