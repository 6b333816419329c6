"""What a checkpoint records about its own network: name, arguments, input size.

What cannot be read as such is ignored with a note; what reads well and cannot be true is refused.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from typing import Any, cast

from cnn_export.errors import CheckpointError

Size = tuple[int, int, int]

_NAME_KEYS = (
    *("arch", "architecture", "model_name", "model", "model_arch", "model_type"),
    *("arch_name", "backbone", "net", "network"),
)
_ARGUMENT_KEYS = ("model_args", "model_kwargs")
_TIMM_OPTIONS = {"gp": "global_pool", "bn_eps": "bn_eps", "bn_tf": "bn_tf"}
"""What timm's training script passes to the builder besides, by the name of its option."""
_CONFIG_KEYS = (
    *("normalization", "pretrained_cfg", "default_cfg", "config"),
    *("hyper_parameters", "hparams", "cfg", "model_config"),
)
_CHANNELS_MAX = 1024
_SIDE_MAX = 4096
_SHOWN_MAX = 80
_RGB = 3


def recorded_names(metadata: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the network's names as they are recorded; several where they differ."""
    places = [metadata, *_configurations(metadata)]
    found = [place.get(key) for place in places for key in _NAME_KEYS]
    names = [value.get("name") if isinstance(value, Mapping) else value for value in found]
    texts = [name.strip() for name in names if isinstance(name, str)]
    short = (text if len(text) <= _SHOWN_MAX else f"{text[:_SHOWN_MAX]}…" for text in texts)
    return tuple(dict.fromkeys(text for text in short if text))


def recorded_arguments(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return the builder's arguments: ``model_args``, ``model_kwargs``, and timm's own options."""
    arguments: dict[str, Any] = {}
    for key in _ARGUMENT_KEYS:
        value = find(metadata, key)
        if isinstance(value, Mapping):
            arguments |= {str(k): v for k, v in cast(Mapping[Any, Any], value).items()}
    options = {argument: find(metadata, key) for key, argument in _TIMM_OPTIONS.items()}
    return {**{k: v for k, v in options.items() if v not in (None, False, "")}, **arguments}


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
    text = repr(value)
    return text if len(text) <= _SHOWN_MAX else f"{text[:_SHOWN_MAX]}…"


def described(arguments: Mapping[str, Any]) -> str:
    """Return ``(width=0.5, classes=10)``, or nothing where there are no arguments."""
    pairs = ", ".join(f"{key}={json.dumps(value, default=str)}" for key, value in arguments.items())
    return f" ({pairs})" if pairs else ""


def find(metadata: Mapping[str, Any], key: str) -> Any:
    """Return the first value that is set, beside the weights or in a configuration there."""
    if metadata.get(key) is not None:
        return metadata[key]
    inner = _configurations(metadata)
    return next((c[key] for c in inner if c.get(key) is not None), None)


def _configurations(metadata: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    configs = (metadata.get(config) for config in _CONFIG_KEYS)
    plain = (vars(c) if isinstance(c, argparse.Namespace) else c for c in configs)
    return [cast(Mapping[str, Any], c) for c in plain if isinstance(c, Mapping)]


def _size(value: Any) -> Size | None:
    sizes: Sequence[Any] = (value, value)
    if isinstance(value, (list, tuple)):
        sizes = cast(Sequence[Any], value)
    if not all(isinstance(size, int) and not isinstance(size, bool) for size in sizes):
        return None
    if len(sizes) == 2:
        return (_RGB, sizes[0], sizes[1])
    return (sizes[0], sizes[1], sizes[2]) if len(sizes) == 3 else None
