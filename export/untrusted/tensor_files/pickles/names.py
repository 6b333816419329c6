"""The names that a pickled checkpoint may use, and what each stands for here.

torch's weights-only reader takes these, and the classes of training scripts that are read as
nothing. Whatever else a file names is refused: it could be code.
"""

from __future__ import annotations

from typing import Any

from cnn_export.untrusted.tensor_files.element_types import NAMED_ONLY, SIZES, STORAGES
from cnn_export.untrusted.tensor_files.pickles.inert import (
    TENSOR_FUNCTIONS,
    Attributes,
    BuiltTensor,
    Named,
    mapping,
    opaque,
    rebuild_from_type,
    size,
)

_NUMPY_SCALARS = ("Bool", "Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64")
_NUMPY_FLOATS = ("Float16", "Float32", "Float64")
_TENSOR_CLASSES = (
    *("Double", "Float", "Half", "BFloat16", "Long", "Int", "Short", "Char", "Byte", "Bool"),
)
_SCHEMES = (
    *("per_tensor_affine", "per_tensor_symmetric", "per_channel_affine"),
    *("per_channel_symmetric", "per_channel_affine_float_qparams"),
)

_OPAQUE = (
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
    *("datetime.datetime", "datetime.date", "datetime.timedelta"),
    *("torch.device", "torch.serialization._get_layout"),
    *("_codecs.encode", "builtins.bytearray", "builtins.set", "builtins.complex"),
    *(f"torch.{scheme}" for scheme in _SCHEMES),
    *(
        f"torch.{place}{kind}Tensor"
        for place in ("", "cuda.", "sparse.", "cuda.sparse.")
        for kind in _TENSOR_CLASSES
    ),
)
"""``_codecs.encode`` spells bytes in old pickles; called for real it also decompresses."""

KNOWN: dict[str, Any] = {
    **{path: opaque(path) for path in _OPAQUE},
    **TENSOR_FUNCTIONS,
    "torch._tensor._rebuild_from_type_v2": rebuild_from_type,
    "collections.OrderedDict": mapping,
    "collections.Counter": mapping,
    "torch.Size": size,
    "torch.Tensor": BuiltTensor,
    "torch.nn.parameter.Parameter": BuiltTensor,
    "argparse.Namespace": Attributes,
    **{f"torch.{dtype}": Named(f"torch.{dtype}") for dtype in (*SIZES, *NAMED_ONLY)},
    **{
        f"{module}.{name}": Named(name)
        for module in ("torch", "torch.cuda", "torch.storage")
        for name in (*STORAGES, "TypedStorage")
    },
}

TENSORS_ONLY: dict[str, Any] = {
    path: meaning
    for path, meaning in KNOWN.items()
    if isinstance(meaning, Named)
    or path in ("collections.OrderedDict", "torch.Size", "torch._utils._rebuild_parameter")
    or path.startswith("torch._utils._rebuild_tensor")
}
