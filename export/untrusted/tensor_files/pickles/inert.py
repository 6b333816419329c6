"""What stands for the objects of a pickled checkpoint: each keeps what is told, and does nothing.

torch's functions that rebuild tensors only note what they were given. Classes that training
scripts leave beside the weights (NumPy scalars, paths, dates) are never needed for inference: of
them not even the values are kept.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from cnn_export.errors import CheckpointError
from cnn_export.untrusted.tensor_files.stored import (
    META,
    NESTED,
    OTHER,
    QUANTIZED,
    SPARSE,
    STRIDED,
    Fixed,
    StorageView,
    Tensor,
    refuse_state,
)


class Named(Fixed):
    """A name of torch's: an element type, a layout, a class."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name


class Attributes:
    """An ``argparse.Namespace``: what it was built with are its attributes."""

    def __setstate__(self, state: Any) -> None:
        """Take the attributes; a state for the class itself, whose method this is, fails."""
        self.__dict__.update(state)


class Opaque:
    """Takes any arguments and any state, keeps none of it."""

    def __new__(cls, *_arguments: Any) -> Opaque:
        """Ignore the arguments."""
        return super().__new__(cls)

    def __init__(self, *_arguments: Any) -> None:
        """Ignore the arguments."""

    def __setstate__(self, _state: Any) -> None:
        """Ignore the state."""


class Foreign(Opaque):
    """Stands for what is not known, and may be anything: also called, or filled like a list."""

    def __new__(cls, *_arguments: Any, **_named: Any) -> Foreign:
        """Ignore the arguments."""
        return object.__new__(cls)

    def __init__(self, *_arguments: Any, **_named: Any) -> None:
        """Ignore the arguments."""

    def __call__(self, *_arguments: Any, **_named: Any) -> Foreign:
        """Ignore the arguments."""
        return self

    def __setitem__(self, _key: Any, _value: Any) -> None:
        """Ignore the item."""

    def append(self, _item: Any) -> None:
        """Ignore the item."""

    def extend(self, _items: Any) -> None:
        """Ignore the items."""

    def add(self, _item: Any) -> None:
        """Ignore the item."""


def opaque(path: str) -> type[Opaque]:
    """Return a class that keeps nothing but its name, the last part of ``path``."""
    return type(path.rpartition(".")[2], (Opaque,), {})


class BuiltTensor(Fixed):
    """``torch.Tensor`` and ``Parameter`` as classes: made empty, then given a storage.

    So wrote torch before 0.2: ``Tensor.__new__`` and a state of (storage, offset, shape, stride).
    """

    def __new__(cls, *arguments: Any) -> Any:
        """Return an empty tensor, or the one that a parameter is made of."""
        return arguments[0] if arguments and isinstance(arguments[0], Tensor) else _Unset()


class _Unset(Tensor):
    __slots__ = ()

    def __setstate__(self, state: Any) -> None:
        view, offset, shape, stride = state
        strided(self, view, offset, shape, stride)


def strided(tensor: Tensor, view: Any, offset: Any, shape: Any, stride: Any) -> Tensor:
    """Lay a tensor over a storage, of the type that the storage has."""
    tensor.kind = STRIDED
    return tensor.place(view, offset, shape, stride, _type_of(view))


def rebuild_tensor(view: Any, offset: Any, shape: Any, stride: Any, *_: Any) -> Tensor:
    """As ``torch._utils._rebuild_tensor``."""
    return strided(Tensor(), view, offset, shape, stride)


def rebuild_tensor_v2(
    view: Any,
    offset: Any,
    shape: Any,
    stride: Any,
    requires_grad: Any,
    hooks: Any,
    metadata: Any = None,
) -> Tensor:
    """As ``torch._utils._rebuild_tensor_v2``; nothing but gradients hangs on the ignored two."""
    del requires_grad, hooks
    return _marked(rebuild_tensor(view, offset, shape, stride), metadata)


def rebuild_tensor_v3(
    view: Any,
    offset: Any,
    shape: Any,
    stride: Any,
    requires_grad: Any,
    hooks: Any,
    dtype: Any,
    metadata: Any = None,
) -> Tensor:
    """As ``torch._utils._rebuild_tensor_v3``: the type is not the storage's."""
    del requires_grad, hooks
    if not isinstance(dtype, Named):
        raise CheckpointError("a tensor of no type")
    tensor = Tensor(STRIDED).place(view, offset, shape, stride, dtype.name.rpartition(".")[2])
    return _marked(tensor, metadata)


def rebuild_parameter(tensor: Any, *_: Any) -> Tensor:
    """As ``torch._utils._rebuild_parameter``, with and without state."""
    return _required(tensor)


def rebuild_from_type(function: Any, kind: Any, arguments: Any, state: Any) -> Any:
    """As ``torch._tensor._rebuild_from_type_v2``; ``function`` is one of these."""
    del kind, state
    if function not in TENSOR_FUNCTIONS.values():
        raise CheckpointError("a tensor that is rebuilt by no function of torch's")
    return function(*arguments)


def rebuild_on_device(tensor: Any, dtype: Any, *_: Any) -> Tensor:
    """As ``torch._utils._rebuild_device_tensor_from_cpu_tensor``, which seldom changes the type."""
    same = isinstance(dtype, Named) and isinstance(tensor, Tensor)
    if same and dtype.name.rpartition(".")[2] == tensor.dtype:
        return tensor
    return Tensor(OTHER)


def _quantized(view: Any, *_: Any) -> Tensor:
    del view
    return Tensor(QUANTIZED)


def _sparse(*_: Any) -> Tensor:
    return Tensor(SPARSE)


def _meta(*_: Any) -> Tensor:
    return Tensor(META)


def _nested(*_: Any) -> Tensor:
    return Tensor(NESTED)


def _other(*_: Any) -> Tensor:
    return Tensor(OTHER)


def mapping(*arguments: Any) -> OrderedDict[Any, Any]:
    """As ``OrderedDict`` and ``Counter``."""
    return OrderedDict(*arguments)


def size(*arguments: Any) -> tuple[Any, ...]:
    """As ``torch.Size``."""
    return tuple(*arguments)


def _marked(tensor: Tensor, metadata: Any) -> Tensor:
    """Keep the bit that says that the values are to be negated."""
    if isinstance(metadata, dict):
        tensor.negative = metadata.get("neg") is True
    return tensor


def _required(tensor: Any) -> Tensor:
    if not isinstance(tensor, Tensor):
        raise CheckpointError("a parameter without a tensor")
    return tensor


def _type_of(view: Any) -> str:
    if not isinstance(view, StorageView):
        raise CheckpointError("a tensor without a storage")
    return view.dtype


TENSOR_FUNCTIONS = {
    "torch._utils._rebuild_tensor": rebuild_tensor,
    "torch._utils._rebuild_tensor_v2": rebuild_tensor_v2,
    "torch._utils._rebuild_tensor_v3": rebuild_tensor_v3,
    "torch._utils._rebuild_parameter": rebuild_parameter,
    "torch._utils._rebuild_parameter_with_state": rebuild_parameter,
    "torch._utils._rebuild_device_tensor_from_cpu_tensor": rebuild_on_device,
    "torch._utils._rebuild_device_tensor_from_numpy": _other,
    "torch._utils._rebuild_xla_tensor": _other,
    "torch._utils._rebuild_qtensor": _quantized,
    "torch._utils._rebuild_sparse_tensor": _sparse,
    "torch._utils._rebuild_meta_tensor_no_storage": _meta,
    "torch._utils._rebuild_nested_tensor": _nested,
    "torch._utils._rebuild_wrapper_subclass": _other,
}

for _function in (*TENSOR_FUNCTIONS.values(), rebuild_from_type, mapping, size):
    vars(_function)["__setstate__"] = refuse_state  # else a pickle could set its defaults
