"""Whether two groups of tensors are sets of the same weights, and what one lends the other."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import torch

from cnn_export.source.contents.groups import Group
from cnn_export.source.contents.names import is_statistic, plain_names, squashed
from cnn_export.source.weight_sets.group_names import shown

_SAME = 0.5
"""Share of the tensors that make two groups sets of the same weights."""


def same_weights(one: Group, other: Group) -> bool:
    """Tell whether the two hold mostly the same: names and shapes, or shapes alone in a list."""
    return alike_with(other)(one)


def alike_with(main: Group) -> Callable[[Group], bool]:
    """Return :func:`same_weights` with ``main``, spelled once for however many groups."""
    count, spelled = len(_weights(main.tensors)), spelled_weights(main) if main.named else []
    shapes = Counter(map(_shape, _weights(main.tensors).values()))

    def alike(group: Group) -> bool:
        weights = _weights(group.tensors)
        if not (group.named and main.named):
            return Counter(map(_shape, weights.values())) == shapes
        best = max(len(a & b) for a in spelled_weights(group) for b in spelled)
        return best >= max(1, _SAME * min(len(weights), count))

    return alike


def spelled_weights(group: Group) -> list[set[tuple[str, tuple[int, ...]]]]:
    """Return names with shapes, and the same without the outermost attribute."""
    weights = _weights(plain_names(group.tensors))
    names = [(name, _shape(tensor)) for name, tensor in weights.items()]
    return [
        {(squashed(name), shape) for name, shape in names},
        {(squashed(name.partition(".")[2]), shape) for name, shape in names if "." in name},
    ]


def _weights(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: t for name, t in tensors.items() if t.dim() and not is_statistic(name)}


def _shape(tensor: torch.Tensor) -> tuple[int, ...]:
    return tuple(tensor.shape)


def completed(chosen: Group, others: Sequence[Group]) -> Group:
    """Add batch norm's statistics where only parameters were averaged, as its users do too."""
    tensors = plain_names(chosen.tensors)
    if any(map(is_statistic, tensors)):
        return chosen
    for other in others:
        beside = plain_names(other.tensors)
        if other is not chosen and tensors.keys() <= beside.keys():
            missing = {n: t for n, t in beside.items() if is_statistic(n)}
            if missing and all(beside[n].shape == t.shape for n, t in tensors.items()):
                return dataclasses.replace(chosen, tensors={**tensors, **missing}, module=None)
    return chosen


def borrowed_note(before: Group, after: Group, main: Group) -> tuple[str, ...]:
    """Return a note on the statistics that ``after`` has from ``main``, where it has."""
    if after is before:
        return ()
    return (
        f"'{before.path}' holds parameters only; batch norm's statistics are those of"
        f" '{shown(main)}'",
    )
