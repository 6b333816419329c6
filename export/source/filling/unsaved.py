"""Tensors of a network that no checkpoint holds: they would be exported as they were drawn."""

from __future__ import annotations

import contextlib
import random
import zlib
from collections.abc import Generator, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from cnn_export.errors import CheckpointError
from cnn_export.source.contents.matching import listed
from cnn_export.source.filling.reachable import reachable

_OTHER_SEED = 20_261_130

Fingerprint = tuple[torch.dtype, tuple[int, ...], int]
"""dtype, shape, and CRC-32 of the values' bytes: enough against accidents and own code."""


def require_saved(module: nn.Module, state: Mapping[str, Any]) -> None:
    """Refuse parameters and layers that are in no ``state_dict``, and so not from the file.

    ``state`` is ``module``'s own, with the variables themselves. For the class's
    constants (buffers declared not persistent, plain tensors) see ``require_same_constants``.

    Raises:
        CheckpointError: names them.
    """
    saved = {_place(value) for value in state.values() if isinstance(value, torch.Tensor)}
    unsaved = [n for n, t in _registered(module) if t.numel() and _place(t) not in saved]
    if unsaved:
        raise CheckpointError(
            f"{type(module).__name__} leaves {listed(unsaved)} out of its state_dict, so no"
            " checkpoint holds them; let state_dict() return every parameter and buffer"
        )
    loose = _loose(module, saved)
    if loose:
        raise CheckpointError(
            f"{type(module).__name__} keeps layers in {listed(loose)}, which no checkpoint holds;"
            " use nn.ModuleList, nn.ModuleDict or nn.ParameterList"
        )


def _place(tensor: torch.Tensor) -> tuple[int, tuple[int, ...]]:
    return tensor.data_ptr(), tuple(tensor.shape)


def _registered(module: nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    for path, part in module.named_modules():
        prefix = f"{path}." if path else ""
        for name, parameter in part.named_parameters(recurse=False):
            yield prefix + name, parameter
        for name, buffer in part.named_buffers(recurse=False):
            if name not in part._non_persistent_buffers_set:  # pyright: ignore[reportPrivateUsage]  (torch has no public way to ask)
                yield prefix + name, buffer


def _loose(module: nn.Module, saved: set[tuple[int, tuple[int, ...]]]) -> list[str]:
    """Return the attributes that lead to unregistered layers or parameters."""
    return list(
        dict.fromkeys(
            attribute
            for _, attribute, tensor in reachable(module)
            if isinstance(tensor, nn.Parameter) and _place(tensor) not in saved
        )
    )


def constants(module: nn.Module) -> dict[str, Fingerprint]:
    """Return the tensors that the class makes itself, by path, as marks of their values."""
    saved = {_place(t) for t in module.state_dict().values() if isinstance(t, torch.Tensor)}
    made = {path: t for path, _, t in reachable(module)}
    kept = {name for name, _ in _registered(module)}
    made |= {name: b for name, b in module.named_buffers() if name not in kept}
    return {
        path: fingerprint(t)
        for path, t in made.items()
        if t.numel() and not t.is_meta and _place(t) not in saved
    }


@contextlib.contextmanager
def other_draws() -> Generator[None]:
    """Let random numbers of torch, numpy and Python come out differently, and restore them."""
    python, of_numpy = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(devices=[]):
        try:
            torch.manual_seed(_OTHER_SEED)
            np.random.seed(_OTHER_SEED)
            random.seed(_OTHER_SEED)
            yield
        finally:
            random.setstate(python)
            np.random.set_state(of_numpy)


def require_same_constants(module: nn.Module, once: Mapping[str, Fingerprint]) -> None:
    """Refuse what differs from the ``constants`` of the same network built before.

    Raises:
        CheckpointError: names them.
    """
    again = constants(module)
    drawn = [path for path in {**once, **again} if once.get(path) != again.get(path)]
    if drawn:
        raise CheckpointError(
            f"{type(module).__name__} draws {listed(drawn)} at random when it is built, and no"
            " checkpoint holds it; make it a persistent buffer or a parameter"
        )


def fingerprint(tensor: torch.Tensor) -> Fingerprint:
    """Return the mark of a dense CPU tensor with data. Nothing is copied where it is contiguous."""
    flat = tensor.detach().contiguous().reshape(-1)
    checksum = zlib.crc32(flat.view(torch.uint8).numpy().data) if flat.numel() else 0
    return tensor.dtype, tuple(tensor.shape), checksum


def fingerprints(tensors: Mapping[str, torch.Tensor]) -> dict[str, Fingerprint]:
    """Return the marks by name."""
    return {name: fingerprint(tensor) for name, tensor in tensors.items()}
