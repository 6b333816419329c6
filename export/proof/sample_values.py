"""Values from a user's file as what an input takes: the same numbers in its dtype, or refused."""

from __future__ import annotations

import numpy as np
import torch

from cnn_export.errors import InputRefused
from cnn_export.program.tensors import Array, TensorSpec

_REAL_KINDS = "biuf"
"""NumPy's letters for truth values, integers and floats."""


def require_real(place: str, dtype: np.dtype[np.generic]) -> None:
    """Refuse numbers that are not real.

    Raises:
        InputRefused: complex, text or objects; names ``place``.
    """
    if dtype.kind not in _REAL_KINDS:
        raise InputRefused(f"{place} holds {dtype}, not real numbers")


def converted(place: str, spec: TensorSpec, value: Array) -> Array:
    """Return the values, C-contiguous, in the input's dtype, where that keeps them.

    Raises:
        InputRefused: not real, not finite, or not whole numbers where the input takes those;
            names ``place``.
    """
    require_real(place, value.dtype)
    with np.errstate(over="ignore", invalid="ignore"):
        result = np.ascontiguousarray(value, dtype=_numpy_dtype(spec))
    if not np.isfinite(result).all():
        raise InputRefused(f"{place} holds NaN, infinity or more than float32 can")
    if not spec.dtype.is_floating_point and not np.array_equal(result, value):
        raise InputRefused(
            f"{place} holds values that {spec.name!r}, {spec.dtype_name}, cannot take"
        )
    return result


def read_failure(error: Exception) -> str:
    """Return what went wrong in reading a file, in words."""
    return (isinstance(error, OSError) and error.strerror) or str(error) or type(error).__name__


def _numpy_dtype(spec: TensorSpec) -> np.dtype[np.generic]:
    return torch.empty(0, dtype=spec.dtype).numpy().dtype
