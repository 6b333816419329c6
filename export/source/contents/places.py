"""Every place beside the weights where a training script may have written something down."""

from __future__ import annotations

import argparse
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any, cast

from cnn_export.errors import CheckpointError
from cnn_export.source.contents.names import words

TRAINING = {"optim", "optimizer", "optimizers", "scheduler", "schedulers", "scaler", "amp"}
"""Words of keys under which a training loop keeps its own state."""
_DEPTH_MAX = 8
_PLACES_MAX = 20_000

Place = Mapping[str, Any]


def places(metadata: Mapping[str, Any]) -> list[Place]:
    """Return the mappings and namespaces in ``metadata``, outer ones first, itself included.

    Raises:
        CheckpointError: more of them than a training script writes.
    """
    found: list[Place] = []
    waiting: deque[tuple[Any, int]] = deque([(metadata, 0)])
    while waiting:
        value, depth = waiting.popleft()
        place = as_place(value)
        if place is not None:
            found.append(place)
        if depth < _DEPTH_MAX:
            waiting.extend((item, depth + 1) for item in _inner(value, place))
        if len(found) + len(waiting) > _PLACES_MAX:
            raise CheckpointError(
                f"the checkpoint holds more than {_PLACES_MAX} mappings and lists beside its"
                " weights; save the weights as a file of their own"
            )
    return found


def as_place(value: object) -> Place | None:
    """Return what a mapping or namespace says, by key; None for anything else."""
    if isinstance(value, argparse.Namespace):
        return vars(value)
    if isinstance(value, Mapping):
        return {str(key): item for key, item in cast(Mapping[Any, Any], value).items()}
    return None


def _inner(value: object, place: Place | None) -> Iterator[object]:
    items: Iterator[object] = iter(())
    if place is not None:
        items = (item for key, item in place.items() if not words(key) & TRAINING)
    elif isinstance(value, (list, tuple)):
        items = iter(cast(list[object], value))
    return (i for i in items if isinstance(i, (Mapping, argparse.Namespace, list, tuple)))
