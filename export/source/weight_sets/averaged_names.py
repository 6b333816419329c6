"""Averaged weights among the raw ones, in one flat mapping under names of their own."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from cnn_export.errors import CheckpointError
from cnn_export.source.contents.groups import Group
from cnn_export.source.contents.names import is_statistic, plain_names, squashed
from cnn_export.source.weight_sets.group_names import OPTION, says_averaged
from cnn_export.source.weight_sets.same_weights import same_weights

Tensors = Mapping[str, torch.Tensor]
_OUTERS_MAX = 16
_HOOK_PREFIX = "ema_"
"""OpenMMLab's older hook registers ``ema_conv1_weight`` beside ``conv1.weight``."""


def averaged_part(tensors: Tensors) -> tuple[dict[str, torch.Tensor], str] | None:
    """Return the averaged tensors under the raw ones' names, and a note; None without any.

    ``ema_model.`` beside ``online_model.``, ``model_ema.`` (also with the dots taken out of the
    names) beside ``model.``, ``ema.module.`` beside bare names. Batch norm's statistics come from
    the raw ones where the averaged ones have none.

    Raises:
        CheckpointError: the two sets cannot be told apart for certain.
    """
    _refuse_swapped(tensors)
    parts = _parts(tensors)
    outers = sorted(filter(says_averaged, parts))
    if len(outers) > _OUTERS_MAX:
        raise CheckpointError(
            f"the checkpoint holds {len(outers)} sets of averaged weights ('{outers[0]}.', …);"
            " save the one to export as a file of its own"
        )
    found = [(outer, *split) for outer in outers if (split := _split(tensors, parts, outer))]
    if not found:
        return None
    if len(found) > 1:
        names = ", ".join(f"'{outer}.'" for outer, *_ in found)
        raise CheckpointError(
            f"the checkpoint holds averaged weights under {names}; choose with {OPTION}"
            f" {found[0][0]}"
        )
    outer, averaged, raw, key = found[0]
    where = f"under '{key}.' ({OPTION} {key})" if key else "beside them"
    return _under_raw_names(averaged, raw), (
        f"averaged weights taken from '{outer}.'; the raw ones are {where}"
    )


def _parts(tensors: Tensors) -> dict[str, dict[str, torch.Tensor]]:
    """Return the tensors by the first piece of their names, without it."""
    parts: dict[str, dict[str, torch.Tensor]] = {}
    for name, tensor in tensors.items():
        outer, dot, rest = name.partition(".")
        if dot:
            parts.setdefault(outer, {})[rest] = tensor
    return parts


def _split(
    tensors: Tensors, parts: Mapping[str, Tensors], outer: str
) -> tuple[Tensors, Tensors, str] | None:
    """Return the tensors under ``outer`` and the raw ones with what leads to them."""
    averaged = plain_names(parts[outer])
    rest = {n: t for n, t in tensors.items() if not n.startswith(f"{outer}.")}
    keys = sorted(key for key in parts if key != outer)
    for key, raw in [("", rest), *((key, parts[key]) for key in keys)]:
        if _shared(averaged, raw) and same_weights(Group("", averaged), Group("", raw)):
            return averaged, raw, key
    return None


def _shared(averaged: Tensors, raw: Tensors) -> bool:
    """Tell whether the names agree without an attribute around either."""
    if 2 * len(raw) < len(averaged):
        return False  # at once: a file may have thousands of such parts
    names = {squashed(name) for name in raw}
    same = sum(squashed(name) in names for name in averaged)
    return 2 * same >= len(averaged) > 0


def _under_raw_names(averaged: Tensors, raw: Tensors) -> dict[str, torch.Tensor]:
    names = {squashed(name): name for name in raw}
    renamed = {names.get(squashed(name), name): tensor for name, tensor in averaged.items()}
    known = {name: tensor for name, tensor in renamed.items() if name in raw or tensor.dim()}
    if any(map(is_statistic, known)):
        return known
    return {**known, **{name: tensor for name, tensor in raw.items() if is_statistic(name)}}


def _refuse_swapped(tensors: Tensors) -> None:
    names = {squashed(name): name for name in tensors}
    twins = [
        (names[squashed(name[len(_HOOK_PREFIX) :])], name)
        for name in tensors
        if name.startswith(_HOOK_PREFIX) and squashed(name[len(_HOOK_PREFIX) :]) in names
    ]
    if twins:
        raise CheckpointError(
            f"the checkpoint holds {len(twins)} tensors twice, as {twins[0][0]} and as"
            f" {twins[0][1]}, and hooks that write such files swap the averaged and the raw ones;"
            " save the set to export as a file of its own"
        )
