"""What in a ``.pt2`` file could run code, found before ``torch.export.load`` sees it.

``torch.export.load`` of torch 2.13 is not weights-only: it unpickles opaque constants and tensor
subclasses, falls back to full unpickling of the sample inputs and legacy weight files, loads
compiled libraries, has sympy evaluate dimension expressions, resolves operator names to any
attribute of ``torch``, and writes tensor names into Python source. Each of these is checked here
against what an exported CNN needs; records are read with torch's own reader, so the bytes are
those it will load.
"""

from __future__ import annotations

import ast
import io
import json
import pickle
import re
from collections.abc import Iterator
from typing import Any, cast

import torch
from torch.export.pt2_archive import PT2ArchiveReader, constants

_NAME = re.compile(r"[\w.+-]*")
_OPERATOR = re.compile(
    r"torch\.ops\.(aten|prims|higher_order|torchvision|quantized_decomposed)(\.(?!__)\w+){1,2}"
    r"|torch\.sym_\w+|math\.(?!__)\w+"
    r"|_operator\.(add|sub|mul|floordiv|truediv|mod|pow|neg|pos|eq|ne|lt|le|gt|ge|and_|or_|getitem)"
)
_TREE_TYPES = (None, "builtins.tuple", "builtins.list", "builtins.dict", "collections.OrderedDict")
_UNREAD = ("metadata", "guards_code", "as_string", "as_strings")
"""Text that stays text: debug information, shape guards (which :mod:`.exported` never compiles)
and string arguments of operators."""
_EXPRESSIONS = frozenset(
    (
        *("Symbol", "Integer", "Float", "Rational", "Add", "Mul", "Pow", "Mod", "Max", "Min"),
        *("Abs", "FloorDiv", "CleanDiv", "ModularIndexing", "PythonMod", "CeilDiv", "CeilToInt"),
        *("FloorToInt", "IntTrueDiv", "FloatTrueDiv", "ToFloat", "TruncToInt", "RoundToInt"),
    )
)
_NODES = (
    *(ast.Expression, ast.BinOp, ast.UnaryOp, ast.Call, ast.Name, ast.Load, ast.Constant),
    *(ast.keyword, ast.operator, ast.unaryop),
)
_SYMBOL = re.compile(r"\w+")


def dangers(path: str) -> Iterator[str]:
    """Yield every part of the file that could run code while it is loaded or traced."""
    with PT2ArchiveReader(path) as reader:
        names = reader.get_file_names()
        if len(set(names)) != len(names):
            yield "two records of one name"
        for name in names:
            yield from _record_dangers(reader, name)


def _record_dangers(reader: PT2ArchiveReader, name: str) -> Iterator[str]:
    if name.startswith(constants.AOTINDUCTOR_DIR):
        yield f"compiled code ({name})"
    elif name.startswith(constants.WEIGHTS_DIR) and name.endswith("_config.json"):
        config = json.loads(reader.read_bytes(name))
        yield from _pickled_payloads(config, constants.WEIGHT_FILENAME_PREFIX)
    elif name.startswith(constants.CONSTANTS_DIR) and name.endswith("_config.json"):
        config = json.loads(reader.read_bytes(name))
        yield from _pickled_payloads(config, constants.TENSOR_CONSTANT_FILENAME_PREFIX)
    elif name.endswith(".pt"):
        yield from _unsafe_pickle(name, reader.read_bytes(name))
    elif name.startswith(constants.MODELS_DIR):
        yield from _model_dangers(json.loads(reader.read_bytes(name)))


def _pickled_payloads(config: Any, plain_prefix: str) -> Iterator[str]:
    for tensor, payload in config.get("config", {}).items():
        if payload.get("use_pickle") or not payload["path_name"].startswith(plain_prefix):
            yield f"the pickled object {tensor}"


def _unsafe_pickle(name: str, data: bytes) -> Iterator[str]:
    if not data:
        return
    try:
        torch.load(io.BytesIO(data), weights_only=True)
    except (pickle.UnpicklingError, RuntimeError):
        yield f"the pickled object {name}"


def _model_dangers(value: Any, key: str = "") -> Iterator[str]:
    """Look at every text of the graph, however deep; ``key`` is the field that holds it."""
    if isinstance(value, str):
        if not _is_plain(key, value):
            yield f"{key} {value[:60]!r}"
    elif isinstance(value, list):
        for item in cast(list[Any], value):
            yield from _model_dangers(item, key)
    elif isinstance(value, dict):
        for field, item in cast(dict[str, Any], value).items():
            if field not in _UNREAD:
                yield from _model_dangers(item, field)


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


def is_arithmetic(text: str) -> bool:
    """Whether ``text`` is a sum of products over known symbolic functions and nothing else."""
    try:
        tree = ast.parse(text, mode="eval")
    except (SyntaxError, ValueError, RecursionError):
        return False
    return all(isinstance(node, _NODES) and _known(node) for node in ast.walk(tree))


def _known(node: ast.AST) -> bool:
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Name) and node.func.id in _EXPRESSIONS
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return bool(_SYMBOL.fullmatch(node.value))
    if isinstance(node, ast.Name):
        return node.id in _EXPRESSIONS or bool(re.fullmatch(r"[su]\d+", node.id))
    return True
