"""A network by its name: a family of this package, a published variant, or torchvision's."""

from __future__ import annotations

from typing import Any

from torch import nn

from cnn_export.errors import UsageError, nearest
from cnn_export.models.registry import architectures


def create(name: str, **arguments: Any) -> nn.Module:
    """Build a network with fresh weights.

    ``name`` is a name of ``cnn-export --list-models``: of a family (``mobilenext``), a published
    variant (``MobileNeXt-0.50``), or a network of torchvision. ``arguments`` are its builder's, and
    go before the variant's.

    Raises:
        UsageError: no such network, with the nearest names; or the builder refuses its arguments.
    """
    families = architectures()
    variants = {row.name: (a, row) for a in families.values() for row in a.published}
    if family := families.get(name):
        build = family.build
    elif name in variants:
        architecture, row = variants[name]
        build, arguments = architecture.build, {**row.arguments, **arguments}
    else:
        build = _torchvision_builder(name, [*families, *variants])
    try:
        return build(**arguments)
    except (TypeError, ValueError) as error:
        raise UsageError(f"{name} cannot be built: {error}; check its arguments") from error


def _torchvision_builder(name: str, others: list[str]) -> Any:
    from torchvision import models  # a second to import, for those who use it

    known = models.list_models(module=models)
    if name not in known:
        near = nearest(name, [*others, *known])
        raise UsageError(f"unknown model {name!r}.{near} See cnn-export --list-models")
    return models.get_model_builder(name)
