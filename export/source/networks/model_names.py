"""``--model TEXT``: a family's name, ``torchvision:NAME``, ``timm:NAME`` or ``module:callable``."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

from cnn_export.errors import UsageError, nearest
from cnn_export.models.registry import Architecture, Shapes, architectures
from cnn_export.source.networks.candidates import Candidate
from cnn_export.source.networks.catalog import known_models
from cnn_export.source.networks.detect import registered_candidate
from cnn_export.source.networks.imports import current_folder_importable, import_object
from cnn_export.source.networks.listed_models import listed_models
from cnn_export.source.networks.timm_models import refuse_unknown, timm_candidate
from cnn_export.source.networks.torchvision_models import named_candidate


@dataclasses.dataclass(frozen=True)
class Source:
    """A checked ``--model``. ``resolve`` takes the checkpoint's shapes."""

    label: str
    resolve: Callable[[Shapes], Candidate]


def parse_source(text: str) -> Source:
    """Return the source that ``text`` names.

    Raises:
        UsageError: no such network; names the nearest.
        TargetUnavailable: timm is asked for and not installed.
    """
    kind, colon, name = text.partition(":")
    if not colon:
        return named_source(text)
    if not name or not kind:
        raise UsageError(
            f"--model {text!r} is incomplete; write timm:NAME, torchvision:NAME or module:callable"
        )
    if kind == "torchvision":
        return _torchvision(name)
    if kind == "timm":
        return timm_source(name)
    candidate = _callable_candidate(text)
    return Source(text, lambda _shapes: candidate)


def timm_source(name: str) -> Source:
    """Return the timm network of that name.

    Raises:
        UsageError: timm has no such network; names the nearest.
        TargetUnavailable: timm is not installed.
    """
    refuse_unknown(name)
    return Source(f"timm:{name}", lambda shapes: timm_candidate(name, shapes))


def named_source(name: str) -> Source:
    """Return the family of this package or of torchvision, or the published variant, of that name.

    Raises:
        UsageError: there is none; names the nearest.
    """
    registered = architectures()
    if architecture := registered.get(name):
        return Source(architecture.name, lambda shapes: registered_candidate(architecture, shapes))
    known, variants = known_models(), {row.name: row for row in listed_models()}
    if name in variants and variants[name].model in registered:
        return _variant(registered[variants[name].model], variants[name].arguments)
    if name not in known:
        near = nearest(name, [*known, *variants])
        raise UsageError(
            f"unknown model {name!r}.{near} See --list-models; timm:NAME,"
            " torchvision:NAME and package.module:callable also work"
        )
    return _torchvision(name)


def _variant(architecture: Architecture, arguments: Mapping[str, Any]) -> Source:
    def resolve(shapes: Shapes) -> Candidate:
        return registered_candidate(architecture, shapes).with_arguments(arguments)

    return Source(architecture.name, resolve)


def _torchvision(name: str) -> Source:
    named_candidate(name, {})  # refuses an unknown name before any file is read
    return Source(name, lambda shapes: named_candidate(name, shapes))


def _callable_candidate(text: str) -> Candidate:
    with current_folder_importable():
        value = import_object(text)
    if isinstance(value, nn.Module):
        return Candidate(text, lambda: copy.deepcopy(value), {}, lean=False)
    if not callable(value):
        raise UsageError(
            f"{text} is a {type(value).__name__}; name a callable or an nn.Module class"
        )

    def build(**arguments: Any) -> Any:
        with current_folder_importable():
            return value(**arguments)

    return Candidate(text, build, {}, lean=False)
