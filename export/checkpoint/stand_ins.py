"""Objects that training scripts leave in checkpoints, replaced by inert ones while reading.

torch's weights-only reader refuses every class it does not know. The classes here are common
beside the weights and never needed for inference, so each is read as :class:`StandIn`: nothing
of numpy, pathlib or datetime runs on bytes from the file.
"""

from __future__ import annotations

import argparse
from typing import Any

_NUMPY_SCALARS = ("Bool", "Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64")
_NUMPY_FLOATS = ("Float16", "Float32", "Float64")

_INERT = (
    *(
        f"{root}.multiarray.{function}"
        for root in ("numpy.core", "numpy._core")
        for function in ("scalar", "_reconstruct")
    ),
    "numpy.dtype",
    "numpy.ndarray",
    *(f"numpy.dtypes.{kind}DType" for kind in (*_NUMPY_SCALARS, *_NUMPY_FLOATS)),
    *(
        f"{module}.{kind}Path"
        for module in ("pathlib", "pathlib._local")
        for kind in ("", "Posix", "Windows", "PurePosix", "PureWindows")
    ),
    "datetime.datetime",
    "datetime.date",
    "datetime.timedelta",
)


class StandIn:
    """Takes any arguments and any state, keeps none of it."""

    def __new__(cls, *_arguments: Any) -> StandIn:
        """Ignore the arguments."""
        return super().__new__(cls)

    def __init__(self, *_arguments: Any) -> None:
        """Ignore the arguments."""

    def __setstate__(self, _state: Any) -> None:
        """Ignore the state."""


def safe_globals() -> list[Any]:
    """Return what ``torch.serialization.safe_globals`` allows while a checkpoint is read.

    ``argparse.Namespace`` is the real one: it only stores attributes, and holds the arguments a
    network was trained with.
    """
    return [argparse.Namespace, *((StandIn, path) for path in _INERT)]
