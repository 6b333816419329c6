"""The normalization that a checkpoint records, checked: it decides what pixels the network sees."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, cast

from cnn_export.errors import CheckpointError, UsageError
from cnn_export.program.normalization import normalization_text, parse_normalization
from cnn_export.source.recorded.recorded import find, shown

Statistics = tuple[Sequence[float], Sequence[float]]


def recorded_normalization(
    metadata: Mapping[str, Any], channels: int | None
) -> tuple[str | None, tuple[str, ...]]:
    """Return ``normalization`` where it is text, else ``mean`` and ``std``, and notes.

    ``channels`` are the network's input channels, None where unknown.

    Raises:
        CheckpointError: not finite, a std that is not positive, or not one value per channel.
    """
    text = find(metadata, "normalization")
    mean, std = find(metadata, "mean"), find(metadata, "std")
    if isinstance(text, str) and text:
        recorded, statistics = text, _read(text)
    elif mean is None and std is None:
        return None, ()
    else:
        recorded, statistics = f"mean {shown(mean)}, std {shown(std)}", _pair(mean, std)
    if statistics is None:
        return None, (f"the recorded normalization {shown(recorded)} cannot be read; ignored",)
    _require_usable(recorded, statistics, channels)
    return normalization_text(*statistics), ()


def _read(text: str) -> Statistics | None:
    try:
        statistics = parse_normalization(text)
    except UsageError:
        return None
    return statistics.mean, statistics.std


def _pair(mean: object, std: object) -> Statistics | None:
    means, deviations = _numbers(mean), _numbers(std)
    return None if means is None or deviations is None else (means, deviations)


def _numbers(value: object) -> tuple[float, ...] | None:
    if not isinstance(value, (list, tuple)):
        return None
    items = cast(Sequence[Any], value)
    if not items or not all(type(item) in (int, float) for item in items):
        return None
    return tuple(_float(item) for item in items)


def _float(number: float) -> float:
    try:
        return float(number)
    except OverflowError:  # an int of hundreds of digits
        return math.inf


def _require_usable(recorded: str, statistics: Statistics, channels: int | None) -> None:
    mean, std = statistics
    lengths = (1, channels or 3)
    if not all(map(math.isfinite, (*mean, *std))):
        fault = "which is not finite"
    elif min(std) <= 0:
        fault = "whose std is not positive"
    elif len(mean) != len(std) or len(mean) not in lengths:
        fault = f"which is not one value for each of {lengths[1]} input channels"
    else:
        return
    raise CheckpointError(
        f"the checkpoint records the normalization {shown(recorded)}, {fault};"
        " save it with the true one, or without"
    )
