"""cnn-export: trained CNN checkpoints to verified mobile artifacts.

The package is lazy: importing it loads neither torch nor any vendor package.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from cnn_export.errors import (
        AccuracyRefused,
        CheckpointError,
        DestinationError,
        ExportError,
        InputRefused,
        OperatorRefused,
        ParityError,
        TargetUnavailable,
        UsageError,
    )
    from cnn_export.job.api import export
    from cnn_export.job.module_api import reparameterize
    from cnn_export.job.request import Artifact, ExportResult
    from cnn_export.models.parts.acb_convert import acb_convert

_ERRORS = (
    "AccuracyRefused",
    "CheckpointError",
    "DestinationError",
    "ExportError",
    "InputRefused",
    "OperatorRefused",
    "ParityError",
    "TargetUnavailable",
    "UsageError",
)
__all__ = [
    "AccuracyRefused",
    "Artifact",
    "CheckpointError",
    "DestinationError",
    "ExportError",
    "ExportResult",
    "InputRefused",
    "OperatorRefused",
    "ParityError",
    "TargetUnavailable",
    "UsageError",
    "__version__",
    "acb_convert",
    "export",
    "reparameterize",
]


def __dir__() -> list[str]:
    return __all__


def __getattr__(name: str) -> Any:
    if name == "export":
        from cnn_export.job.api import export

        return export
    if name == "reparameterize":
        from cnn_export.job.module_api import reparameterize

        return reparameterize
    if name == "acb_convert":
        from cnn_export.models.parts.acb_convert import acb_convert

        return acb_convert
    if name in _ERRORS:
        from cnn_export import errors

        return getattr(errors, name)
    if name in ("Artifact", "ExportResult"):
        from cnn_export.job import request

        return getattr(request, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
