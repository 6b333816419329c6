"""torchvision networks as candidates, with width and class count read off the shapes."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from torch import nn

from cnn_export.errors import UsageError, nearest
from cnn_export.models.registry import Shapes
from cnn_export.source.networks.candidates import Candidate
from cnn_export.source.networks.fingerprint_index import networks_with
from cnn_export.source.networks.torchvision_families import (
    MNASNET_PUBLISHED,
    Family,
    WidthRule,
    family_of,
)

_WIDTHS = tuple(
    # Several widths give one network; the round one is the likely name.
    step / 200
    for step in sorted(range(10, 801), key=lambda s: (s != 200, s % 50 != 0, s % 10 != 0, s))
)
"""Widths tried: 0.05 to 4.0 in steps of 0.005."""
_WIDTHS_BUILT = 3
_DEFAULT_CROP = 224
_OWN_WEIGHTS = ("weights", "weights_backbone", "pretrained", "progress")


def family_candidates(family: Family, shapes: Shapes) -> Iterator[list[Candidate]]:
    """Yield each network of the family with the class count and width the shapes call for.

    Each item lists spellings of one network: several widths may round to the same channels.
    """
    for name in family.names:
        for variant in family.variants:
            yield [
                _candidate(name, family, shapes, {**variant, **width})
                for width in _width_arguments(family, name, shapes)
            ]


def fitting_candidates(family: Family, shapes: Shapes) -> Iterator[list[Candidate]]:
    """Yield those of :func:`family_candidates` that the tensors may be all of.

    Networks of fixed width are looked up, so that one is built and not ten.
    """
    names = family.names
    if not family.widths and not family.absent:
        names = networks_with("torchvision", shapes)
    return family_candidates(dataclasses.replace(family, names=names), shapes)


def named_candidate(name: str, shapes: Shapes) -> Candidate:
    """Return the torchvision network of that name, class count and width off the shapes.

    Raises:
        UsageError: torchvision has no such classification network.
    """
    known = [*torchvision_classifiers(), "mnasnet"]
    if name not in known:
        raise UsageError(f"torchvision has no network {name!r}.{nearest(name, known)}")
    family = family_of(name)
    if family is None:
        return _plain(name, {})
    return _candidate(name, family, shapes, next(_width_arguments(family, name, shapes)))


def torchvision_classifiers() -> list[str]:
    """Return the names of all of torchvision's classification networks."""
    from torchvision import models

    return models.list_models(module=models)


def _candidate(
    name: str, family: Family, shapes: Shapes, arguments: Mapping[str, Any]
) -> Candidate:
    name, arguments = _published(name, arguments)
    head = shapes.get(family.head)
    classes = {"num_classes": head[0]} if head else {}
    absent = {
        key: value
        for tensor, settings in family.absent.items()
        if tensor not in shapes
        for key, value in settings.items()
    }
    return _plain(name, {**arguments, **absent, **classes})


def _published(name: str, arguments: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    published = MNASNET_PUBLISHED.get(arguments.get("alpha", 0.0))
    if name != "mnasnet" or published is None:
        return name, arguments
    return published, {key: value for key, value in arguments.items() if key != "alpha"}


def _plain(name: str, arguments: dict[str, Any]) -> Candidate:
    crop = _crop(name)
    return Candidate(
        label=name,
        build=_builder(name),
        arguments=arguments,
        input_size=(3, crop, crop),
        normalization="imagenet" if arguments.get("num_classes", 1000) == 1000 else None,
        inferred=frozenset(arguments),
        aliases={"classes": "num_classes", "width": "alpha" if name == "mnasnet" else "width_mult"},
        refused=_OWN_WEIGHTS,
    )


def _builder(name: str) -> Callable[..., nn.Module]:
    from torchvision import models

    if name == "mnasnet":
        return models.MNASNet
    builder: Callable[..., nn.Module] = models.get_model_builder(name)
    if name in ("googlenet", "inception_v3"):
        # Their initialisation takes half a minute, for weights about to be replaced.
        return functools.partial(builder, init_weights=False)
    return builder


def _crop(name: str) -> int:
    """Return the published input side in pixels."""
    from torchvision import models

    if name == "mnasnet":
        return _DEFAULT_CROP
    published: Any = next(iter(models.get_model_weights(name)))
    return int(published.transforms.keywords.get("crop_size", _DEFAULT_CROP))


def _width_arguments(family: Family, name: str, shapes: Shapes) -> Iterator[dict[str, float]]:
    rule = family.widths.get(name)
    if rule is None:
        yield {}
        return
    widths = sorted(_WIDTHS, key=lambda width: -_agreeing(rule, width, shapes))
    best = _agreeing(rule, widths[0], shapes)
    for width in widths[:_WIDTHS_BUILT]:
        if _agreeing(rule, width, shapes) == best:
            yield {rule.argument: width}


def _agreeing(rule: WidthRule, width: float, shapes: Shapes) -> int:
    return sum(
        shapes[tensor][0] == _rounded(channels * width)
        for tensor, channels in rule.channels.items()
        if shapes.get(tensor)
    )


def _rounded(channels: float) -> int:
    """Round to a multiple of 8, up where down would lose more than 10 % (arXiv 1801.04381)."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded if rounded >= 0.9 * channels else rounded + 8
