"""What files hold beside a network's tensors: harmless kinds, and kinds with their own advice."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import nn

from cnn_export.errors import CheckpointError
from cnn_export.source.contents.matching import listed, state_of
from cnn_export.source.contents.names import words

_PROFILER = ("total_ops", "total_params")
"""Buffers that FLOP counters (thop) register in every layer, one number each."""
_BESIDE = {
    *("loss", "losses", "criterion", "criteria", "metric", "metrics", "meter", "meters"),
    *("acc", "accuracy", "auroc", "auc", "f1", "precision", "recall", "confmat"),
}
_LOSS_WEIGHTS = ("class_weights", "class_weight", "pos_weight")
_KINDS: Mapping[str, tuple[str, ...]] = {
    "it is in quantization-aware training or quantized; export the float checkpoint": (
        *("fake_quant", "activation_post_process", "observer_enabled", "fake_quant_enabled"),
        *("zero_point", "_packed_params"),
    ),
    "its low-rank updates (LoRA) are not merged; merge them before saving": ("lora_A", "lora_B"),
    "its weights are kept apart by a parametrization; remove that before saving"
    " (remove_parametrizations, remove_weight_norm, remove_spectral_norm), or name a network that"
    " has it with --model": (
        *("parametrizations.", ".weight_g", ".weight_v", ".weight_u", "weight_orig"),
    ),
    "a pruning mask has no weight that it belongs to; call torch.nn.utils.prune.remove before"
    " saving": ("_mask",),
}


def is_leftover(name: str, tensor: torch.Tensor) -> bool:
    """Tell whether no inference reads the tensor: a profiler's count, a loss's or metric's buffer.

    To be asked only of tensors that the network itself does not have.
    """
    pieces = name.split(".")
    if pieces[-1] in _PROFILER:
        return tensor.numel() == 1
    return bool(words(pieces[0]) & _BESIDE) or name in _LOSS_WEIGHTS


def kind_of(names: Iterable[str]) -> str | None:
    """Return what the names say about how the file was saved, with advice; None for nothing."""
    listed = list(names)
    for said, parts in _KINDS.items():
        if any(part in name for name in listed for part in parts):
            return said
    return None


def unused_entries(module: nn.Module, entries: Mapping[str, Any]) -> tuple[str, ...]:
    """Return a note on the entries beside the tensors that the network has no use for.

    Raises:
        CheckpointError: one is a module's own state, which the network does not take.
    """
    state = state_of(module)
    unused = [name for name, value in entries.items() if name not in state and value is not None]
    extra = [name for name in unused if name.endswith("_extra_state")]
    if extra:
        raise CheckpointError(
            f"the file holds {listed(extra)}, which {type(module).__name__} does not take"
            " (set_extra_state); name the network that does with --model"
        )
    counted = [name for name in unused if not isinstance(entries[name], (Mapping, list, tuple))]
    if not counted:
        return ()
    return (f"{len(counted)} entries that are no tensors not used: {listed(counted)}",)
