"""Loaded object → flat tensors by name, and what was recorded beside them."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Mapping
from typing import Any, cast

import torch
from torch import nn

from cnn_export.errors import CheckpointError

_AVERAGED = ("state_dict_ema", "model_ema", "ema_state_dict", "model_ema_state_dict", "ema")
_RAW = ("state_dict", "model_state_dict", "model", "net", "network", "weights", "params", "module")
_WRAPPERS = ("module", "ema_model")
_AVERAGE_COUNTERS = ("n_averaged", "initted", "step")
_NEVER_WEIGHTS = ("optimizer", "optimizers", "optimizer_states", "scheduler", "scaler", "amp")

_MAX_DEPTH = 4
"""Containers within containers; a crafted file could nest itself without end."""


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


def open_container(loaded: Any) -> Contents:
    """Find the weights in a loaded object: averaged (EMA) ones first, then raw, then bare.

    Raises:
        CheckpointError: no tensors, or several groups of tensors to choose from.
    """
    if isinstance(loaded, nn.Module):
        return _from_module(loaded, "", {})
    if not isinstance(loaded, Mapping):
        raise CheckpointError(
            f"the checkpoint holds a {type(loaded).__name__}, not tensors by name;"
            " save model.state_dict()"
        )
    mapping = cast(Mapping[Any, Any], loaded)
    metadata = _metadata(mapping)
    key = _weights_key(mapping)
    if key is None:
        return _from_mapping(mapping, "", metadata)
    notes = _choice_notes(mapping, key)
    inner = _inside(mapping[key], key)
    if isinstance(inner[0], nn.Module):
        found = _from_module(inner[0], inner[1], metadata)
    else:
        found = _from_mapping(inner[0], inner[1], metadata)
    return dataclasses.replace(found, notes=(*notes, *found.notes))


def plain_names(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Drop the prefixes of DataParallel, weight averaging and ``torch.compile`` from names."""
    names = {name: _without(name, "_orig_mod") for name in tensors}
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


def without_outer_name(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor] | None:
    """Return the tensors without the one attribute that holds them all (``model.``, ``net.``)."""
    outer = {name.partition(".")[0] for name in tensors}
    if len(outer) != 1 or not all("." in name for name in tensors):
        return None
    return {name.partition(".")[2]: tensor for name, tensor in tensors.items()}


def _without(name: str, part: str) -> str:
    return ".".join(piece for piece in name.split(".") if piece != part)


def _common_prefix(names: Any) -> str | None:
    kept = [name for name in names if name not in _AVERAGE_COUNTERS]
    return next(
        (p for p in _WRAPPERS if kept and all(name.startswith(f"{p}.") for name in kept)), None
    )


def _weights_key(mapping: Mapping[Any, Any]) -> str | None:
    for key in (*_AVERAGED, *_RAW):
        if key in mapping and _holds_weights(mapping[key]):
            return key
    if any(isinstance(value, torch.Tensor) for value in mapping.values()):
        return None
    groups = [
        str(key)
        for key, value in mapping.items()
        if key not in _NEVER_WEIGHTS and _holds_weights(value)
    ]
    if len(groups) > 1:
        raise CheckpointError(
            f"the checkpoint holds several groups of tensors ({', '.join(groups)});"
            " save the one to export as a file of its own"
        )
    return groups[0] if groups else None


def _holds_weights(value: Any, depth: int = _MAX_DEPTH) -> bool:
    if isinstance(value, nn.Module):
        return True
    if not isinstance(value, Mapping) or depth == 0:
        return False
    inner = cast(Mapping[Any, Any], value)
    if any(isinstance(item, torch.Tensor) for item in inner.values()):
        return True
    keys = (*_AVERAGED, *_RAW)
    return any(key in inner and _holds_weights(inner[key], depth - 1) for key in keys)


def _inside(value: Any, path: str) -> tuple[Any, str]:
    """Follow containers in containers, e.g. ``ema`` → ``module``."""
    while isinstance(value, Mapping):
        mapping = cast(Mapping[Any, Any], value)
        if any(isinstance(item, torch.Tensor) for item in mapping.values()):
            break
        key = next(k for k in (*_AVERAGED, *_RAW) if k in mapping and _holds_weights(mapping[k]))
        value, path = mapping[key], f"{path}.{key}"
    return value, path


def _choice_notes(mapping: Mapping[Any, Any], key: str) -> tuple[str, ...]:
    raw = [name for name in _RAW if name in mapping and _holds_weights(mapping[name])]
    if key in _AVERAGED and raw:
        return (f"averaged weights taken from '{key}'; the raw ones are in '{raw[0]}'",)
    if key in (*_AVERAGED, *_RAW):
        return ()
    return (f"weights taken from '{key}', the only group of tensors in the file",)


def _from_mapping(mapping: Mapping[Any, Any], path: str, metadata: dict[str, Any]) -> Contents:
    tensors = {str(k): v for k, v in mapping.items() if isinstance(v, torch.Tensor)}
    if not tensors:
        raise CheckpointError(
            f"the checkpoint holds no tensors by name (its keys: {_shown(mapping)});"
            " save model.state_dict()"
        )
    entries = {str(k): v for k, v in mapping.items() if not isinstance(v, torch.Tensor)}
    return Contents(plain_names(tensors), path, metadata, entries=entries)


def _from_module(module: nn.Module, path: str, metadata: dict[str, Any]) -> Contents:
    parallel = (nn.DataParallel, nn.parallel.DistributedDataParallel)
    inner = cast(nn.Module, module.module) if isinstance(module, parallel) else module
    return Contents(dict(inner.state_dict()), path or "module", metadata, module=inner)


def _metadata(mapping: Mapping[Any, Any]) -> dict[str, Any]:
    """Return what stands beside the tensors; ``args`` and the safetensors header are merged in."""
    beside = {
        str(key): value
        for key, value in mapping.items()
        if not isinstance(value, torch.Tensor) and not _holds_weights(value)
    }
    for key in ("args", "__metadata__"):
        inner = beside.pop(key, None)
        pairs = vars(inner) if isinstance(inner, argparse.Namespace) else inner
        if isinstance(pairs, Mapping):
            beside = {**cast(dict[str, Any], pairs), **beside}
    return beside


def _shown(mapping: Mapping[Any, Any]) -> str:
    keys = [str(key) for key in mapping]
    return ", ".join(keys[:5]) + (", …" if len(keys) > 5 else "") if keys else "none"
