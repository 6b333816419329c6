"""int8: one decision on the graph, the integers it means, and the arithmetic of each runtime."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cnn_export.quantization.finetuning.prepare import prepare
    from cnn_export.quantization.scheme.options import SchemeOptions

__all__ = ["SchemeOptions", "prepare"]


def __getattr__(name: str) -> Any:
    if name == "prepare":
        from cnn_export.quantization.finetuning.prepare import prepare

        return prepare
    if name == "SchemeOptions":
        from cnn_export.quantization.scheme.options import SchemeOptions

        return SchemeOptions
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
