"""Network families, the losses and the trainer that belong to them.

Each family is one file and registers itself in :mod:`cnn_export.models.registry`. Nothing here
knows the exporters or the benchmarks. Lazy: only :func:`~cnn_export.models.creating.create` brings
torch in.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cnn_export.models.creating import create

__all__ = ["create"]


def __getattr__(name: str) -> Any:
    if name == "create":
        return importlib.import_module("cnn_export.models.creating").create
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
