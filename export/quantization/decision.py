"""What is decided once for all formats: which tensors are integers, and at which scale.

A decision names the nodes of one graph, the one that every target takes in int8. It is a value:
calibration and the scheme make it, insertion writes it into a graph, manifests record it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

INT8_MIN, INT8_MAX = -128, 127
WEIGHT_MAX = 127
"""Weights reach from -127 to 127: symmetric, without the one value that has no negative."""


@dataclasses.dataclass(frozen=True)
class TensorScale:
    """An activation in int8: ``real = (q − zero_point) · scale``.

    ``scale`` is a float32 number, ``zero_point`` from −128 to 127 (a file with uint8 activations
    adds 128). ``why`` says where the range comes from, for people.
    """

    scale: float
    zero_point: int
    why: str

    @property
    def low(self) -> float:
        """The smallest real value that is not clipped."""
        return (INT8_MIN - self.zero_point) * self.scale

    @property
    def high(self) -> float:
        """The largest real value that is not clipped."""
        return (INT8_MAX - self.zero_point) * self.scale


@dataclasses.dataclass(frozen=True)
class LayerWeights:
    """A convolution's or linear layer's weights: one float32 scale per output channel, no offset.

    ``bias_correction`` is added to the bias in real units (empty: nothing is). The integers are
    not here: they follow from the graph's weights, rounded half to even and clipped to ±127; the
    bias is int32 at input scale times weight scale.
    """

    scales: tuple[float, ...]
    bias_correction: tuple[float, ...] = ()


@dataclasses.dataclass(frozen=True)
class Decision:
    """One quantization of one graph.

    ``tensors`` holds the nodes whose value is int8 (for a layer with a fused activation that is
    the activation's node), ``weights`` the layers computed in integers. ``kept_float`` tells, by
    node, why an operator that could be integer, or that a reader would expect to be, is not.
    """

    tensors: Mapping[str, TensorScale]
    weights: Mapping[str, LayerWeights]
    kept_float: Mapping[str, str] = dataclasses.field(default_factory=dict[str, str])
