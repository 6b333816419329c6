"""Floors of activation scales: ratios that every runtime takes, also behind dead activations.

A tensor that was 0 on all calibration data would have no scale, and what divides by it no ratio
that fits. XNNPACK refuses such an operator when a file is loaded, not when it is written.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence

from torch import fx

from cnn_export.quantization.decision import WEIGHT_MAX
from cnn_export.quantization.scheme.observation.scales import float32_above
from cnn_export.quantization.scheme.placement.operators import IntegerOperator
from cnn_export.quantization.scheme.weights import BIAS_STEPS_MAX, LayerWeightValues
from cnn_export.reparam.graph.operators import operator_name

LAYER_RATIO = (2.0**-32, 256.0)
SUM_RATIO = (2.0**-10, 256.0)
PRODUCT_RATIO = (2.0**-16, 256.0)
"""What XNNPACK takes: at least the first, less than the second. ONNX Runtime's sums take more."""

_ROOM = 2.0
"""Scales keep this far from the ends: a ratio is rounded in float32, a bias may be corrected."""

_LAYER_RATIO_KEPT = 32.0
"""A step of the sum may be at most this many steps of the output: more would be no resolution."""

_SWEEPS = 64


@dataclasses.dataclass
class GroupScales:
    """The scale of every group of tensors; floors raise them."""

    group_of: dict[fx.Node, int]
    scales: list[float]
    raised: set[int] = dataclasses.field(default_factory=set[int])

    def of(self, node: fx.Node) -> float:
        """Return a tensor's scale."""
        return self.scales[self.group_of[node]]

    def raise_to(self, node: fx.Node, floor: float) -> bool:
        """Raise the tensor's group to ``floor``; return whether that changed anything."""
        if self.of(node) >= floor:
            return False
        self.scales[self.group_of[node]] = float32_above(floor)
        self.raised.add(self.group_of[node])
        return True


def raise_scales(
    operators: Sequence[IntegerOperator],
    layers: dict[fx.Node, LayerWeightValues],
    groups: GroupScales,
) -> None:
    """Raise scales until every ratio fits, or a bounded number of sweeps is over."""
    for _ in range(_SWEEPS):
        # A list: every operator is asked, also behind one that was raised.
        raised = [_raised(operator, layers, groups) for operator in operators]
        if not any(raised):
            return


def ratios(
    operator: IntegerOperator, scale_of: Callable[[fx.Node], float], weights: Sequence[float]
) -> tuple[list[float], tuple[float, float]]:
    """Return an operator's requantization ratios, and what they must at least and not reach."""
    output = scale_of(operator.output)
    inputs = [scale_of(each) for each in operator.inputs]
    if operator.layer is not None:
        return [inputs[0] * each / output for each in weights], LAYER_RATIO
    if operator_name(operator.node) == "add":
        return [each / output for each in inputs], SUM_RATIO
    return [math.prod(inputs) / output], PRODUCT_RATIO


def _raised(
    operator: IntegerOperator,
    layers: dict[fx.Node, LayerWeightValues],
    groups: GroupScales,
) -> bool:
    inputs = [groups.of(each) for each in operator.inputs]
    if operator.layer is not None:
        values = layers[operator.node]
        steps = (values.ranges * inputs[0] / WEIGHT_MAX).maximum(values.bias.abs() / BIAS_STEPS_MAX)
        return groups.raise_to(operator.output, float(steps.max()) / _LAYER_RATIO_KEPT)
    if operator_name(operator.node) == "add":
        changed = groups.raise_to(operator.output, max(inputs) * _ROOM / SUM_RATIO[1])
        floor = groups.of(operator.output) * SUM_RATIO[0] * _ROOM
        raised = [groups.raise_to(each, floor) for each in operator.inputs]
        return any(raised) or changed
    changed = groups.raise_to(operator.output, math.prod(inputs) * _ROOM / PRODUCT_RATIO[1])
    missing = groups.of(operator.output) * PRODUCT_RATIO[0] * _ROOM / math.prod(inputs)
    if missing > 1:
        # Both by the same factor: neither side is known to be the dead one.
        floors = [scale * math.sqrt(missing) for scale in inputs]
        pairs = zip(operator.inputs, floors, strict=True)
        raised = [groups.raise_to(node, floor) for node, floor in pairs]
        changed = any(raised) or changed
    return changed
