"""Checkpoint file → network: weights-only reading, recognition, strict matching.

Lazy: ``known_models`` works without torch; ``load_model`` brings torch in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cnn_export.source.networks.catalog import known_models

if TYPE_CHECKING:
    from cnn_export.source.checkpoint import LoadedModel, load_model

__all__ = ["LoadedModel", "known_models", "load_model"]


def __getattr__(name: str) -> Any:
    if name in ("LoadedModel", "load_model"):
        from cnn_export.source import checkpoint

        return getattr(checkpoint, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
