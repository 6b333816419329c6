"""The zoo's networks by name, as modules in memory. Loads torch: for workers only."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from cnn_export.benchmarks.studies.field.networks.written import WRITTEN
from cnn_export.benchmarks.studies.field.trained_like import trained_like
from cnn_export.command_line.packages import require
from cnn_export.errors import UsageError, nearest
from cnn_export.models import create
from cnn_export.source.networks.listed_models import listed_models

_SIDE = 96
_PUBLISHED = "published"


def built(name: str) -> tuple[nn.Module, tuple[torch.Tensor, ...]]:
    """Return a network with trained-like values and its inputs, the same ones each time.

    It was never called, as one whose checkpoint has just been loaded: what ``forward`` keeps is not
    there. ``timm:NAME@SIDE`` and ``torchvision:NAME@SIDE`` are built at that side, 96 without;
    ``published:NAME`` is one of ``cnn-export --list-models``, built at the size listed there.

    Raises:
        UsageError: no such network.
    """
    build, shapes = _found(name)
    torch.manual_seed(0)
    trained, network = build(), build()
    inputs = tuple(torch.randn(shape) for shape in shapes)
    network.load_state_dict(trained_like(trained, inputs).state_dict())
    return network.eval(), inputs


def _found(name: str) -> tuple[Callable[[], nn.Module], tuple[tuple[int, ...], ...]]:
    source, _, rest = name.rpartition(":")
    if source == _PUBLISHED:
        sizes = [row.input_size for row in listed_models() if row.name == rest]
        return lambda: create(rest), ((1, *(sizes[0] if sizes else ())),)
    if source in _PACKAGES:
        known, _, side = rest.partition("@")
        size = int(side or _SIDE)
        return lambda: _PACKAGES[source](known, size), ((1, 3, size, size),)
    if name not in WRITTEN:
        raise UsageError(f"the zoo has no network {name!r}.{nearest(name, WRITTEN)}")
    return WRITTEN[name].build, WRITTEN[name].shapes


def _timm(name: str, side: int) -> nn.Module:
    require("timm", ["timm"])
    import timm

    fixed = timm.get_pretrained_cfg_value(name, "fixed_input_size")
    sized: dict[str, Any] = {"img_size": side} if fixed else {}
    return timm.create_model(name, pretrained=False, **sized)


def _torchvision(name: str, side: int) -> nn.Module:
    import torchvision

    del side
    return torchvision.models.get_model(name, weights=None, num_classes=100)


_PACKAGES = {"timm": _timm, "torchvision": _torchvision}
