"""Tensor names without what wrappers put around them, and the kinds of tensors they name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import torch

from cnn_export.errors import CheckpointError

_WRAPPERS = ("module", "ema_model")
_COMPILED = "_orig_mod"
_AVERAGE_COUNTERS = ("n_averaged", "initted", "step", "steps")
_STATISTICS = ("running_mean", "running_var", "num_batches_tracked")
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")


def plain_names(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Drop the prefixes of DataParallel, weight averaging and ``torch.compile`` from names.

    Raises:
        CheckpointError: two tensors would have one name.
    """
    names = {name: _without(name, _COMPILED) for name in tensors}
    while prefix := _common_prefix(names.values()):
        names = {
            name: plain.removeprefix(f"{prefix}.")
            for name, plain in names.items()
            if plain not in _AVERAGE_COUNTERS
        }
    result = {plain: tensors[name] for name, plain in names.items()}
    if len(result) != len(names):
        raise CheckpointError("two tensors of the checkpoint have one name without '_orig_mod.'")
    return result


def outer_name(names: Iterable[str]) -> str | None:
    """Return the one attribute that holds all of the tensors (``model``, ``net``), if one does."""
    listed = list(names)
    outer = {name.partition(".")[0] for name in listed}
    return next(iter(outer)) if len(outer) == 1 and all("." in n for n in listed) else None


def inside(tensors: Mapping[str, torch.Tensor], outer: str) -> dict[str, torch.Tensor]:
    """Return the tensors below the attribute ``outer``, without its name."""
    prefix = f"{outer}."
    return {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}


def is_statistic(name: str) -> bool:
    """Whether the tensor is one of batch norm's buffers, which are no parameters."""
    return name.rpartition(".")[2] in _STATISTICS


def squashed(name: str) -> str:
    """Return the name as averaging hooks keep it that may not use dots: without dots, dashes."""
    return name.replace(".", "").replace("_", "")


def words(name: str) -> set[str]:
    """Return the words of a key in lower case: ``model_ema``, ``EMACallback`` → ``ema`` and one."""
    return {word.lower() for word in _WORDS.findall(name)}


def _without(name: str, part: str) -> str:
    return ".".join(piece for piece in name.split(".") if piece != part)


def _common_prefix(names: Iterable[str]) -> str | None:
    kept = [name for name in names if name not in _AVERAGE_COUNTERS]
    return next(
        (p for p in _WRAPPERS if kept and all(name.startswith(f"{p}.") for name in kept)), None
    )
