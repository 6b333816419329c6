"""The builder's arguments that a checkpoint records, plain and of a size its tensors can show."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from cnn_export.errors import CheckpointError
from cnn_export.models.registry import Shapes
from cnn_export.source.contents.places import as_place, places
from cnn_export.source.recorded.recorded import shown

_KEYS = ("model_args", "model_kwargs")
_TIMM_OPTIONS: dict[str, tuple[str, tuple[type, ...]]] = {
    "gp": ("global_pool", (str,)),
    "bn_eps": ("bn_eps", (int, float)),
    "bn_tf": ("bn_tf", (bool,)),
}
"""What timm's training script passes to the builder besides, by the name of its option."""
_SCALARS = (bool, int, float, str, type(None))
_DEPTH_MAX = 8
_NUMBER_MAX = 4096
"""No network is wider, unless a tensor shows it."""


def recorded_arguments(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return the builder's arguments: ``model_args``, ``model_kwargs``, and timm's own options.

    Raises:
        CheckpointError: a value that is not plain, or two values of one argument; names it.
    """
    found = places(metadata)
    arguments: dict[str, Any] = {}
    for key in _KEYS:
        for given in (as_place(place.get(key)) for place in found):
            for name, value in (given or {}).items():
                _require_plain(name, value)
                _require_same(name, arguments.setdefault(name, value), value)
    return {**_options(found), **arguments}


def believable_arguments(metadata: Mapping[str, Any], shapes: Shapes) -> dict[str, Any]:
    """Return :func:`recorded_arguments`, refused where they ask for more than the tensors show.

    A file of some kilobytes could have a network of millions of layers built otherwise.

    Raises:
        CheckpointError: as above, or a number or a sequence beyond the tensors'.
    """
    arguments = recorded_arguments(metadata)
    widest = max([_NUMBER_MAX, *(size for shape in shapes.values() for size in shape)])
    for name, value in arguments.items():
        numbers = list(_numbers(value))
        if len(numbers) > max(len(shapes), 16) or sum(map(abs, numbers)) > widest:
            raise CheckpointError(
                f"the checkpoint records {name}={shown(value)} in its model_args, more than its"
                f" {len(shapes)} tensors can show; save it with the true ones, or give --model"
            )
    return arguments


def _options(found: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    options: dict[str, Any] = {}
    for key, (argument, types) in _TIMM_OPTIONS.items():
        values = [place[key] for place in found if type(place.get(key)) in types and place[key]]
        for value in values:
            _require_same(key, options.setdefault(argument, value), value)
    return options


def _require_plain(name: str, value: object) -> None:
    if not _is_plain(value):
        raise CheckpointError(
            f"the checkpoint records {name!r} in its model_args as a {type(value).__name__} that is"
            " not made of numbers, texts, lists and mappings; save it as these, or give --model"
        )


def _is_plain(value: object, depth: int = 0) -> bool:
    if depth > _DEPTH_MAX:
        return False
    if isinstance(value, (list, tuple)):
        return all(_is_plain(item, depth + 1) for item in cast(Sequence[object], value))
    if isinstance(value, Mapping):
        pairs = cast(Mapping[object, object], value).items()
        return all(isinstance(k, str) and _is_plain(v, depth + 1) for k, v in pairs)
    return type(value) in _SCALARS


def _require_same(name: str, first: object, other: object) -> None:
    if repr(first) != repr(other):
        raise CheckpointError(
            f"the checkpoint records {name!r} of its model_args twice, as {shown(first)} and as"
            f" {shown(other)}; save it with the true one, or give --model"
        )


def _numbers(value: object) -> Iterator[float]:
    """Yield the numbers in a value, 0 for anything else in a sequence or mapping."""
    if isinstance(value, Mapping):
        value = list(cast(Mapping[object, object], value).values())
    if isinstance(value, (list, tuple)):
        yield 0
        for item in cast(Sequence[object], value):
            yield from _numbers(item)
    else:
        yield value if isinstance(value, int) else 0
