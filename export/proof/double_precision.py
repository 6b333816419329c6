"""Run a float32 network in float64 throughout, though it names float32 itself.

A network that says ``.float()``, ``softmax(dtype=torch.float32)`` or ``zeros(dtype=x.dtype)`` would
fall back to float32 in the middle of a float64 run. Here every float32 tensor that appears is
float64, while the network is told float32 when it asks: it takes the same path as in float32. This
is what ``cast`` in ``reparam/graph/precision.py`` does to a captured graph, so both agree. Other
floating dtypes (a half-precision island) keep their effect.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode

from cnn_export.program.network_copy import network_copy
from cnn_export.reparam.graph.precision import cast_stored, default_dtype

_TENSOR: Any = torch.Tensor
_DTYPE_OF = _TENSOR.dtype.__get__
"""How a ``TorchFunctionMode`` sees a read of ``x.dtype``."""


def double_copy(module: nn.Module) -> nn.Module:
    """Return a copy whose stored float32 tensors are float64, to be run inside :func:`doubled`."""
    duplicate = network_copy(module)
    cast_stored(duplicate, torch.float32, torch.float64)
    return duplicate


@contextlib.contextmanager
def doubled() -> Generator[None]:
    """Let everything that is or becomes float32 in the body be float64."""
    with _DoubleOperators(), _SeenAsFloat32():
        yield


class _DoubleOperators(TorchDispatchMode):
    """Call every operator with float64 for float32: arguments, dtypes, defaults and results.

    A literal, ``torch.tensor([0.1])``, is float32 before it is seen: it keeps float32's value, as
    in the captured graph.
    """

    def __init__(self) -> None:
        super().__init__()
        # A plain attribute of the module may be written to and read again: it has one double.
        self._doubles: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run one operator."""
        args, kwargs = pytree.tree_map(self._argument, (args, kwargs or {}))
        with default_dtype(torch.float64):
            return pytree.tree_map_only(torch.Tensor, _doubled, func(*args, **kwargs))

    def _argument(self, value: Any) -> Any:
        if value is torch.float32:
            return torch.float64
        if not isinstance(value, torch.Tensor) or value.dtype != torch.float32:
            return value
        if id(value) not in self._doubles:
            self._doubles[id(value)] = (value, value.double())
        return self._doubles[id(value)][1]


class _SeenAsFloat32(TorchFunctionMode):
    """Answer ``x.dtype`` with float32 where it is float64 on our account."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run one function, or read one property."""
        result = func(*args, **(kwargs or {}))
        return torch.float32 if func == _DTYPE_OF and result is torch.float64 else result


def _doubled(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.double() if tensor.dtype == torch.float32 else tensor
