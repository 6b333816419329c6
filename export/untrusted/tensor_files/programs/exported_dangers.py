"""What in a ``.pt2`` file could run code, found before ``torch.export.load`` sees it.

``torch.export.load`` of torch 2.13 is not weights-only: it unpickles opaque constants and tensor
subclasses, falls back to full unpickling of the sample inputs and legacy weight files, loads
compiled libraries, has sympy evaluate dimension expressions, resolves operator names to any
attribute of ``torch``, and writes tensor names into Python source. Each of these is checked here
against what an exported CNN needs.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, cast

from cnn_export.untrusted.tensor_files.programs.expressions import is_arithmetic

_NAME = re.compile(r"[\w.+-]*")
_OPERATOR = re.compile(
    r"torch\.ops\.(aten|prims|higher_order|torchvision|quantized_decomposed)(\.(?!__)\w+){1,2}"
    r"|torch\.sym_\w+|math\.(?!__)\w+"
    r"|_operator\.(add|sub|mul|floordiv|truediv|mod|pow|neg|pos|eq|ne|lt|le|gt|ge|and_|or_|getitem)"
)
_TREE_TYPES = (None, "builtins.tuple", "builtins.list", "builtins.dict", "collections.OrderedDict")
_UNREAD = ("metadata", "guards_code", "as_string", "as_strings")
"""Text that stays text: debug information, shape guards, which ``source.files.exported`` never
compiles, and string arguments of operators."""
_MAX_EXPONENT = 4


def dangers_of_payloads(config: dict[str, Any], plain_prefix: str) -> Iterator[str]:
    """Yield the weights or constants that are pickled objects."""
    for tensor, payload in config.items():
        if payload.get("use_pickle") or not str(payload["path_name"]).startswith(plain_prefix):
            yield f"the pickled object {tensor}"


def dangers_of_model(value: Any, key: str = "") -> Iterator[str]:
    """Look at every text of the graph, however deep; ``key`` is the field that holds it."""
    if isinstance(value, str):
        if not _is_plain(key, value):
            yield f"{key} {value[:60]!r}"
    elif isinstance(value, list):
        for item in cast(list[Any], value):
            yield from dangers_of_model(item, key)
    elif isinstance(value, dict):
        fields = cast(dict[str, Any], value)
        if fields.get("target") == "_operator.pow" and not _is_small_power(fields):
            yield "a power of a size that is not small"
        for field, item in fields.items():
            if field not in _UNREAD:
                yield from dangers_of_model(item, field)


def _is_small_power(node: dict[str, Any]) -> bool:
    """Whether the exponent is a small number: of others Python computes astronomic ones."""
    match node.get("inputs"):
        case [_, {"arg": {"as_int": int(exponent)}}]:
            return abs(exponent) <= _MAX_EXPONENT
        case _:
            return False


def _is_plain(key: str, text: str) -> bool:
    if key in ("target", "as_operator"):
        return bool(_OPERATOR.fullmatch(text))
    if key == "expr_str":
        return is_arithmetic(text)
    if key in ("in_spec", "out_spec"):
        return not text or all(kind in _TREE_TYPES for kind in _tree_types(json.loads(text)))
    return bool(_NAME.fullmatch(text))


def _tree_types(spec: Any) -> Iterator[str | None]:
    """Yield the container types of a serialized pytree; torch imports what foreign ones name."""
    if isinstance(spec, list):
        for item in cast(list[Any], spec):
            yield from _tree_types(item)
    elif isinstance(spec, dict):
        node = cast(dict[str, Any], spec)
        yield "__enum__" if "__enum__" in str(node.get("context")) else node.get("type")
        yield from _tree_types(node.get("children_spec"))
