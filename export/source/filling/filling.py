"""The file's tensors → the network, and the proof that they are its tensors afterwards.

A class may do anything while it loads: edit in place, rescale, skip, keep some for itself. What
counts is what it holds in the end, so every value is marked before and compared after.
"""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from cnn_export.errors import CheckpointError, one_line
from cnn_export.source.contents.matching import (
    dtype_text,
    is_counter,
    listed,
    shapes_of,
    state_of,
    tensors_of,
)
from cnn_export.source.filling.unsaved import Fingerprint, fingerprint, fingerprints, require_saved

Tensors = Mapping[str, torch.Tensor]
_NO_EXTRAS: Mapping[str, Any] = {}


def fill(
    module: nn.Module, tensors: Tensors, extras: Mapping[str, Any] = _NO_EXTRAS
) -> nn.Module | None:
    """Give ``module`` the float32 tensors, which must match it, and set it to ``eval``.

    ``extras`` are the file's entries that are no tensors, for ``set_extra_state``. Returns None
    if something that no checkpoint holds was left without memory; the network must then be built
    with memory.

    Raises:
        CheckpointError: a tensor has another dtype than the network's, the class refuses or
            changes what it is given, or holds tensors that no checkpoint does; names them.
    """
    state = state_of(module)
    complete = {name: _value(name, state, tensors, extras) for name in state}
    marks = fingerprints(tensors)
    _require_equal_twins(state, marks)
    _load(module, _versioned(complete, module))
    module.float().eval().requires_grad_(False)
    if _left_empty(module):
        return None
    after = state_of(module)
    _require_unchanged(module, {k: marks[k] for k in marks if not is_counter(k)}, after)
    _require_same_extras(module, complete, after)
    require_saved(module, after)
    return module


def adopt(module: nn.Module, tensors: Tensors, extras: Mapping[str, Any] = _NO_EXTRAS) -> bool:
    """Let the class's own loading rename the tensors; tell whether each found its place.

    ``module`` must be built with memory. True where, counters of batch norm aside, the values of
    the file, ``extras`` too, are the values of the network, one for one; False leaves ``module``
    in no certain state.
    """
    values = {name: t for name, t in tensors.items() if not is_counter(name)}
    wanted = Counter(fingerprints(values).values())
    try:
        _load(module, {**tensors, **extras})
    except CheckpointError:
        return False
    module.float().eval().requires_grad_(False)
    after = state_of(module)
    held = [fingerprint(t) for k, t in tensors_of(after).items() if not is_counter(k)]
    require_saved(module, after)
    kept = [value for value in after.values() if not isinstance(value, torch.Tensor)]
    if not _same_in_any_order(list(extras.values()), kept):
        return False
    return not _left_empty(module) and Counter(held) == wanted


def may_be_renamed(module: nn.Module, tensors: Tensors) -> bool:
    """Tell whether the file has as many tensors of each shape as the network."""
    held = [shapes_of(tensors), shapes_of(tensors_of(state_of(module)))]
    counts = [Counter(s for name, s in each.items() if not is_counter(name)) for each in held]
    return counts[0] == counts[1]


def _value(name: str, state: Mapping[str, Any], tensors: Tensors, extras: Mapping[str, Any]) -> Any:
    wanted = state[name]
    if name in tensors:
        return _typed(name, tensors[name], wanted)
    if not isinstance(wanted, torch.Tensor):
        if name in extras:
            return extras[name]
        raise CheckpointError(
            f"the network keeps {name} beside its tensors (get_extra_state), and the file does not"
            " hold it; give the whole checkpoint, or keep it in a buffer"
        )
    if is_counter(name):
        return torch.zeros((), dtype=torch.int64)
    # tied to a tensor that is present
    return tensors[next(n for n, tensor in state.items() if tensor is wanted and n in tensors)]


def _typed(name: str, value: torch.Tensor, wanted: Any) -> torch.Tensor:
    if not isinstance(wanted, torch.Tensor):
        return value
    if is_counter(name):
        return value.to(torch.int64)
    both_floating = value.is_floating_point() and wanted.is_floating_point()
    if value.dtype != wanted.dtype and not both_floating:
        raise CheckpointError(
            f"{name} is {dtype_text(value)}, the network's is {dtype_text(wanted)};"
            " export the float checkpoint"
        )
    return value


def _require_equal_twins(state: Mapping[str, Any], marks: Mapping[str, Fingerprint]) -> None:
    """Refuse two values for one tensor: which of them the network computed with is unknown."""
    first: dict[int, str] = {}
    for name in (n for n in state if n in marks and isinstance(state[n], torch.Tensor)):
        twin = first.setdefault(id(state[name]), name)
        if marks[twin] != marks[name]:
            raise CheckpointError(
                f"{twin} and {name} are one tensor in the network and differ in the file;"
                " build the network without tying them, or save it again"
            )


def _versioned(state: dict[str, Any], module: nn.Module) -> dict[str, Any]:
    """Attach the layer versions of ``module``: all names match, so nothing is to be migrated.

    Without them torchvision's MNASNet refuses and batch norm fills in its counter.
    """
    ordered: dict[str, Any] = module.state_dict()
    ordered.update(state)
    return ordered


def _load(module: nn.Module, state: dict[str, Any]) -> None:
    """Call the class's own ``load_state_dict`` with those of torch's options that it takes."""
    options = {"strict": True, "assign": True}
    parameters = inspect.signature(module.load_state_dict).parameters.values()
    if not any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters):
        options = {k: v for k, v in options.items() if k in {p.name for p in parameters}}
    if "assign" not in options:
        module.float()  # copying into a smaller dtype would round
    try:
        module.load_state_dict(state, **options)
    except (Exception, SystemExit) as error:
        raise CheckpointError(
            f"{type(module).__name__} does not take its own tensors:"
            f" {type(error).__name__}: {one_line(error)}"
        ) from error


def _require_unchanged(
    module: nn.Module, marks: Mapping[str, Fingerprint], after: Mapping[str, Any]
) -> None:
    changed = [
        name
        for name, mark in marks.items()
        if not isinstance(tensor := after.get(name), torch.Tensor) or fingerprint(tensor) != mark
    ]
    if changed:
        raise CheckpointError(
            f"{type(module).__name__} changes {listed(changed)} while it loads them: the"
            " network would not hold what the file holds; save it as it is after loading"
        )


def _require_same_extras(
    module: nn.Module, given: Mapping[str, Any], after: Mapping[str, Any]
) -> None:
    extras = [name for name, value in given.items() if not isinstance(value, torch.Tensor)]
    changed = [name for name in extras if not _same(given[name], after.get(name))]
    if changed:
        raise CheckpointError(
            f"{type(module).__name__} does not hold the file's {listed(changed)} after loading"
            " (set_extra_state, get_extra_state); keep it in a buffer"
        )


def _same_in_any_order(given: Sequence[object], held: Sequence[object]) -> bool:
    if len(given) != len(held):
        return False
    left = list(held)
    for value in given:
        place = next((i for i, other in enumerate(left) if _same(value, other)), None)
        if place is None:
            return False
        del left[place]
    return True


def _same(one: object, other: object) -> bool:
    if isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor):
        return fingerprint(one) == fingerprint(other)
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(_same(one[k], other[k]) for k in one)
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
        return len(one) == len(other) and all(map(_same, one, other))
    return type(one) is type(other) and bool(one == other)


def _left_empty(module: nn.Module) -> bool:
    return any(isinstance(value, torch.Tensor) and value.is_meta for value in _held(module))


def _held(module: nn.Module) -> Iterable[object]:
    """Yield parameters, every buffer (non-persistent ones too) and plain attributes."""
    for part in module.modules():
        yield from part._parameters.values()  # pyright: ignore[reportPrivateUsage]  (named_parameters would skip duplicates)
        yield from part._buffers.values()  # pyright: ignore[reportPrivateUsage]  (as above)
        yield from vars(part).values()
