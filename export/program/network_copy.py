"""Copies of a network, to be traced and run: what it keeps between calls reaches no other."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn
from torch.utils import _pytree as pytree


def network_copy(module: nn.Module) -> nn.Module:
    """Return a copy in evaluation mode, tensors, hooks and other attributes included.

    A network may store tensors in ``forward`` (grids, anchors, masks of one image size): in a trace
    those have no values, and in a float64 run they are of float64. What cannot be copied (a lock,
    a generator) both share; a tensor that autograd computed becomes a stored one.
    """
    known: dict[int, Any] = {}
    for each in reversed(list(module.modules())):
        for name, value in vars(each).items():
            if name != "_modules":
                _copy_into(known, value)
    return copy.deepcopy(module, known).eval()


def _copy_into(known: dict[int, Any], value: Any) -> None:
    """Let ``known``, the memory of a deep copy, hold what stands for ``value``."""
    for leaf in pytree.tree_leaves(value):
        if isinstance(leaf, torch.Tensor) and not leaf.is_leaf:
            known[id(leaf)] = leaf.detach().clone()
    try:
        copy.deepcopy(value, known)
    except Exception:  # whatever an object of the user's own raises
        known[id(value)] = value
