"""What an output means, as far as its values tell: that decides which figure is the gate."""

from __future__ import annotations

from typing import Literal

import numpy as np

from cnn_export.errors import InputRefused
from cnn_export.program.tensors import Array

OutputKind = Literal["logits", "probabilities", "map", "embedding", "vector"]
"""Class scores before or after softmax (batch, classes); a value per position (batch, …, …); a
direction of length 1; any other numbers."""

_CLASS_RANK = 2
_TOLERANCE = 1e-3


def output_kind(values: Array) -> OutputKind:
    """Return the kind of an output of shape (batch, …), from the float network's values.

    Rows of two or more numbers are class scores unless they are of length 1: numbers cannot tell
    logits from features, and a gate on the largest one is the stricter for those.
    """
    if values.ndim == 0:
        raise InputRefused(
            "an output is one number for the whole batch: int8 cannot be judged by samples; return"
            " one for each"
        )
    if values.ndim > _CLASS_RANK and _positions(values) > 1:
        return "map"
    rows = values.reshape(len(values), -1).astype(np.float64)
    if rows.shape[1] == 1:
        return "vector"
    if (rows >= 0).all() and np.allclose(rows.sum(1), 1, atol=_TOLERANCE):
        return "probabilities"
    if np.allclose(np.linalg.norm(rows, axis=1), 1, atol=_TOLERANCE):
        return "embedding"
    return "logits"


def _positions(values: Array) -> int:
    return int(np.prod(values.shape[2:]))
