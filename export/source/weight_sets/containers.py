"""Loaded object → flat tensors by name, and what was recorded beside them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, cast

import torch
from torch import nn

from cnn_export.errors import CheckpointError
from cnn_export.source.contents.groups import Group, groups_of
from cnn_export.source.files.described import class_name
from cnn_export.source.weight_sets.weight_sets import choose

_OPENMMLAB = ("mmengine_version", "mmcv_version")


@dataclasses.dataclass(frozen=True)
class Contents:
    """What a checkpoint holds.

    ``container`` is the dotted path of keys that led to the tensors, empty for a bare state_dict.
    ``entries`` stand among the tensors and are none. ``module`` is set when a whole network was
    unpickled.
    """

    tensors: dict[str, torch.Tensor]
    container: str
    metadata: dict[str, Any]
    notes: tuple[str, ...] = ()
    module: nn.Module | None = None
    entries: Mapping[str, Any] = dataclasses.field(default_factory=dict[str, Any])


def open_container(loaded: Any, key: str | None = None) -> Contents:
    """Find the weights in a loaded object: those of ``key``, else averaged ones, else raw ones.

    Raises:
        CheckpointError: no tensors by name, or several groups of tensors to choose from.
        UsageError: ``key`` leads to no tensors.
    """
    if not isinstance(loaded, (Mapping, nn.Module)):
        raise CheckpointError(
            f"the checkpoint holds a {class_name(loaded)}, not tensors by name;"
            " save model.state_dict()"
        )
    groups = groups_of(loaded)
    whole = cast(Mapping[Any, Any], loaded) if isinstance(loaded, Mapping) else {}
    if not any(group.named and not group.of_training for group in groups):
        raise CheckpointError(
            f"the checkpoint holds no tensors by name (its keys: {_shown(whole)});"
            " save model.state_dict()"
        )
    chosen, notes = choose(groups, key, openmmlab=_from_openmmlab(whole))
    return _contents(chosen, notes, _metadata(whole))


def _contents(chosen: Group, notes: tuple[str, ...], metadata: dict[str, Any]) -> Contents:
    return Contents(
        tensors=dict(chosen.tensors),
        container=chosen.path,
        metadata=metadata,
        notes=notes,
        module=chosen.module,
        entries=chosen.entries if chosen.path else _extra_states(chosen.entries),
    )


def _extra_states(entries: Mapping[str, Any]) -> dict[str, Any]:
    """Beside bare tensors everything else is the training's, but for modules' own state."""
    return {name: value for name, value in entries.items() if name.endswith("_extra_state")}


def _from_openmmlab(whole: Mapping[Any, Any]) -> bool:
    meta = whole.get("meta")
    return isinstance(meta, Mapping) and any(version in meta for version in _OPENMMLAB)


def _metadata(whole: Mapping[Any, Any]) -> dict[str, Any]:
    """Return what stands beside the tensors, each thing in its own place."""
    return {str(k): v for k, v in whole.items() if not isinstance(v, (torch.Tensor, nn.Module))}


def _shown(mapping: Mapping[Any, Any]) -> str:
    keys = [str(key) for key in mapping]
    return ", ".join(keys[:5]) + (", …" if len(keys) > 5 else "") if keys else "none"
