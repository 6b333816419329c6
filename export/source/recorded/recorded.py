"""What a checkpoint records about its own network: its names, and input size.

What cannot be read as such is ignored with a note; what reads well and cannot be true is refused.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, cast

from cnn_export.errors import CheckpointError
from cnn_export.source.contents.places import as_place, places

Size = tuple[int, int, int]

_NAME_KEYS = (
    *("arch", "architecture", "model_name", "model", "model_arch", "model_type"),
    *("arch_name", "backbone", "net", "network"),
)
_INNER_KEYS = ("name", "type")
"""Where a mapping under one of the keys above says which network it is."""
_OUTER_KEYS = ("args", "__metadata__")
_CONFIG_KEYS = (
    *("normalization", "pretrained_cfg", "default_cfg", "config"),
    *("hyper_parameters", "hparams", "cfg", "model_config"),
)
_CHANNELS_MAX = 1024
_SIDE_MAX = 4096
_SHOWN_MAX = 80
_PAIRS_SHOWN = 16
_RGB = 3


def recorded_names(metadata: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the network's names as they are recorded anywhere; several where they differ.

    Raises:
        CheckpointError: more is recorded than a training script writes.
    """
    values = (place.get(key) for place in places(metadata) for key in _NAME_KEYS)
    texts = (name.strip() for value in values for name in _names(value))
    return tuple(dict.fromkeys(shortened(text) for text in texts if text))


def _names(value: object) -> list[str]:
    """Return the names in what stands under a name's key: a text, texts, or a configuration."""
    place = as_place(value)
    said: list[Any] = [value]
    if place is not None:
        said = [place.get(key) for key in _INNER_KEYS]
    elif isinstance(value, (list, tuple)):
        said = list(cast(Sequence[Any], value))
    return [name for name in said if isinstance(name, str)]


def recorded_input_size(metadata: Mapping[str, Any]) -> tuple[Size | None, tuple[str, ...]]:
    """Return (channels, height, width) from ``input_size`` (an int, (H, W) or (C, H, W)) and notes.

    Raises:
        CheckpointError: more than 1024 channels, a side over 4096 pixels, or one of them below 1.
    """
    value = find(metadata, "input_size")
    if value is None:
        return None, ()
    size = _size(value)
    if size is None:
        return None, ("the input_size recorded in the checkpoint is no size; ignored",)
    channels, *sides = size
    if not 1 <= channels <= _CHANNELS_MAX or not all(1 <= side <= _SIDE_MAX for side in sides):
        raise CheckpointError(
            f"the checkpoint records the input_size {shown(value)}, beyond {_CHANNELS_MAX} channels"
            f" or sides of 1 to {_SIDE_MAX}; save it with the true one"
        )
    return size, ()


def shown(value: object) -> str:
    """Return the value for a message: short, whatever a file holds."""
    return shortened(repr(value))


def described(arguments: Mapping[str, Any]) -> str:
    """Return ``(width=0.5, classes=10)``, short, or nothing where there are no arguments."""
    pairs = [f"{shortened(str(key))}={_written(value)}" for key, value in arguments.items()]
    more = ", …" if len(pairs) > _PAIRS_SHOWN else ""
    return f" ({', '.join(pairs[:_PAIRS_SHOWN])}{more})" if pairs else ""


def shortened(text: str) -> str:
    """Return at most the first 80 characters, with a mark where there were more."""
    return text if len(text) <= _SHOWN_MAX else f"{text[:_SHOWN_MAX]}…"


def _written(value: object) -> str:
    try:
        return shortened(json.dumps(value, default=str))
    except (TypeError, ValueError, RecursionError):  # keys that are no texts, or itself inside
        return shown(value)


def find(metadata: Mapping[str, Any], key: str) -> Any:
    """Return the first value that is set, beside the weights or in a configuration there."""
    outer = [metadata, *_inside(metadata, _OUTER_KEYS)]
    inner = [config for place in outer for config in _inside(place, _CONFIG_KEYS)]
    return next((p[key] for p in (*outer, *inner) if p.get(key) is not None), None)


def _inside(place: Mapping[str, Any], keys: Sequence[str]) -> list[Mapping[str, Any]]:
    found = (as_place(place.get(key)) for key in keys)
    return [inner for inner in found if inner is not None]


def _size(value: Any) -> Size | None:
    sizes: Sequence[Any] = (value, value)
    if isinstance(value, (list, tuple)):
        sizes = cast(Sequence[Any], value)
    if not all(isinstance(size, int) and not isinstance(size, bool) for size in sizes):
        return None
    if len(sizes) == 2:
        return (_RGB, sizes[0], sizes[1])
    return (sizes[0], sizes[1], sizes[2]) if len(sizes) == 3 else None
