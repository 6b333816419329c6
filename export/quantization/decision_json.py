"""A decision as text: in a fine-tuned checkpoint, in a record."""

from __future__ import annotations

import dataclasses
import json
import math
import struct
from typing import Any

from cnn_export.errors import InputRefused
from cnn_export.quantization.decision import (
    INT8_MAX,
    INT8_MIN,
    Decision,
    LayerWeights,
    TensorScale,
)


def decision_to_json(decision: Decision) -> str:
    """Return the decision as JSON; equal decisions of one graph give equal texts."""
    return json.dumps(dataclasses.asdict(decision), indent=1, ensure_ascii=False)


def decision_from_json(text: str) -> Decision:
    """Return the decision that :func:`decision_to_json` wrote.

    Raises:
        InputRefused: the text is no decision, or holds numbers that none has.
    """
    try:
        given = json.loads(text)
        return Decision(
            {str(name): _tensor(each) for name, each in given["tensors"].items()},
            {str(name): _layer(each) for name, each in given["weights"].items()},
            {str(name): str(why) for name, why in given["kept_float"].items()},
        )
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise InputRefused(f"the recorded int8 decision is damaged: {error!r}") from error


def _tensor(given: Any) -> TensorScale:
    zero_point = given["zero_point"]
    if type(zero_point) is not int or not INT8_MIN <= zero_point <= INT8_MAX:
        raise ValueError(f"a zero point is {zero_point!r}")
    return TensorScale(_scale(given["scale"]), zero_point, str(given["why"]))


def _layer(given: Any) -> LayerWeights:
    correction = tuple(float(each) for each in given["bias_correction"])
    scales = tuple(_scale(each) for each in given["scales"])
    if not all(map(math.isfinite, correction)) or len(correction) not in (0, len(scales)):
        raise ValueError("a bias correction does not fit its layer")
    return LayerWeights(scales, correction)


def _scale(given: Any) -> float:
    """Return a positive number that float32 holds."""
    value = float(given)
    if not 0 < value < math.inf or struct.unpack("f", struct.pack("f", value))[0] != value:
        raise ValueError(f"a scale is {given!r}")
    return value
