"""Averaged weights among the raw ones, in one flat mapping under names of their own."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from cnn_export.checkpoint.groups import Group
from cnn_export.checkpoint.names import inside, is_statistic, plain_names, squashed
from cnn_export.checkpoint.weight_sets import OPTION, same_weights, says_averaged
from cnn_export.errors import CheckpointError

Tensors = Mapping[str, torch.Tensor]
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
    outers = {name.partition(".")[0] for name in tensors if "." in name}
    found = [(outer, *split) for outer in sorted(outers) if (split := _split(tensors, outer))]
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


def _split(tensors: Tensors, outer: str) -> tuple[Tensors, Tensors, str] | None:
    """Return the tensors under ``outer`` and the raw ones with what leads to them."""
    if not says_averaged(outer):
        return None
    averaged = plain_names(inside(tensors, outer))
    rest = {n: t for n, t in tensors.items() if not n.startswith(f"{outer}.")}
    keys = sorted({name.partition(".")[0] for name in rest if "." in name})
    for key, raw in [("", rest), *((key, inside(rest, key)) for key in keys)]:
        if _shared(averaged, raw) and same_weights(Group("", averaged), Group("", raw)):
            return averaged, raw, key
    return None


def _shared(averaged: Tensors, raw: Tensors) -> bool:
    """Tell whether the names agree without an attribute around either."""
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
