"""What a checkpoint records about its own network: name, input size, normalization."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, cast

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

_NAME_KEYS = ("arch", "architecture", "model_name", "model")
_CONFIG_KEYS = ("normalization", "pretrained_cfg", "default_cfg", "config")


def recorded_name(metadata: Mapping[str, Any]) -> str | None:
    """Return the network's name, if one is recorded."""
    return next(
        (name for key in _NAME_KEYS if isinstance(name := _find(metadata, key), str) and name), None
    )


def recorded_arguments(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return the builder's arguments recorded under ``model_args``."""
    value = _find(metadata, "model_args")
    return {str(k): v for k, v in value.items()} if isinstance(value, Mapping) else {}


def recorded_input_size(metadata: Mapping[str, Any]) -> tuple[int, int, int] | None:
    """Return (channels, height, width) from ``input_size``: an int, (H, W) or (C, H, W)."""
    value = _find(metadata, "input_size")
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return (3, value, value)
    if not isinstance(value, (list, tuple)):
        return None
    sizes = cast(Sequence[Any], value)
    if not all(isinstance(size, int) and size > 0 for size in sizes):
        return None
    if len(sizes) == 2:
        return (3, sizes[0], sizes[1])
    return (sizes[0], sizes[1], sizes[2]) if len(sizes) == 3 else None


def recorded_normalization(metadata: Mapping[str, Any]) -> str | None:
    """Return ``normalization`` where it is text, or ``mean`` and ``std``, beside it or inside."""
    value = _find(metadata, "normalization")
    if isinstance(value, str) and value:
        return value
    mean, std = _numbers(_find(metadata, "mean")), _numbers(_find(metadata, "std"))
    return None if mean is None or std is None else normalization_text(mean, std)


def normalization_text(mean: Sequence[float], std: Sequence[float]) -> str:
    """Return ``imagenet`` or ``m1,m2,m3/s1,s2,s3``, as ``--normalize`` takes it."""
    if (tuple(mean), tuple(std)) == (IMAGENET_MEAN, IMAGENET_STD):
        return "imagenet"
    return "/".join(",".join(map(str, values)) for values in (mean, std))


def described(arguments: Mapping[str, Any]) -> str:
    """Return ``(width=0.5, classes=10)``, or nothing where there are no arguments."""
    pairs = ", ".join(f"{key}={json.dumps(value, default=str)}" for key, value in arguments.items())
    return f" ({pairs})" if pairs else ""


def _find(metadata: Mapping[str, Any], key: str) -> Any:
    """Return the first value that is set, beside the weights or in a configuration there."""
    if metadata.get(key) is not None:
        return metadata[key]
    configs = (metadata.get(config) for config in _CONFIG_KEYS)
    inner = (cast(Mapping[str, Any], c) for c in configs if isinstance(c, Mapping))
    return next((c[key] for c in inner if c.get(key) is not None), None)


def _numbers(value: Any) -> tuple[float, ...] | None:
    if not isinstance(value, (list, tuple)):
        return None
    items = cast(Sequence[Any], value)
    if not items or not all(isinstance(item, (int, float)) for item in items):
        return None
    return tuple(float(item) for item in items)
