"""cnn-export: trained CNN checkpoints to verified mobile artifacts.

The package is lazy: importing it loads neither torch nor any vendor package.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from cnn_export.job.api import export
    from cnn_export.job.module_api import reparameterize
    from cnn_export.job.request import Artifact, ExportResult
    from cnn_export.models.parts.acb_convert import acb_convert

__all__ = ["Artifact", "ExportResult", "__version__", "acb_convert", "export", "reparameterize"]


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
    if name in ("Artifact", "ExportResult"):
        from cnn_export.job import request

        return getattr(request, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
