"""The names ``--model`` accepts as they stand, found without importing torch."""

from __future__ import annotations

import ast
import importlib.util
from pathlib import Path

from cnn_export.source.networks.torchvision_families import torchvision_names


def known_models() -> list[str]:
    """Return this package's families, then torchvision's, each sorted.

    Besides these, ``timm:NAME``, ``torchvision:NAME`` and ``package.module:callable`` work.
    """
    registered = registered_names()
    return [*registered, *(n for n in torchvision_names() if n not in registered)]


def registered_names() -> list[str]:
    """Return the builders that :mod:`cnn_export.models.families` registers, read from its source.

    Importing them would bring in torch, seconds for a list of names.
    """
    spec = importlib.util.find_spec("cnn_export.models.families")
    folders = spec.submodule_search_locations if spec else None
    files = [file for folder in folders or () for file in sorted(Path(folder).glob("*.py"))]
    return sorted(name for file in files for name in _decorated(file.read_text("utf-8")))


def _decorated(source: str) -> list[str]:
    return [
        node.name
        for node in ast.parse(source).body
        if isinstance(node, ast.FunctionDef) and any(map(_registers, node.decorator_list))
    ]


def _registers(decorator: ast.expr) -> bool:
    return (
        isinstance(decorator, ast.Call)
        and isinstance(decorator.func, ast.Name)
        and decorator.func.id == "register_model"
    )
