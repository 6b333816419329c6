"""The names under which a file's tensors may be a network's, from the plainest reading on."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch

from cnn_export.source.contents.leftovers import is_leftover
from cnn_export.source.contents.matching import listed
from cnn_export.source.contents.names import inside, outer_name, plain_names
from cnn_export.source.weight_sets.averaged_names import averaged_part

Tensors = Mapping[str, torch.Tensor]
_MAX_WRAPPERS = 4
_MAX_PARTS = 4


@dataclasses.dataclass(frozen=True)
class Spelling:
    """Tensors under the names to be compared, notes on what was done to get there.

    ``entries`` are the mapping's members that are no tensors. ``part`` is the attribute that was
    taken out of a file that holds more, named in ``outside``: a network that fits only this part
    may lack the rest. ``layout`` says whose names were mapped to the network's, if any were.
    """

    tensors: Tensors
    entries: Mapping[str, Any]
    notes: tuple[str, ...] = ()
    part: str = ""
    outside: tuple[str, ...] = ()
    layout: str = ""


def spellings(
    tensors: Mapping[str, torch.Tensor], entries: Mapping[str, Any]
) -> Iterator[Spelling]:
    """Yield the names as they are, then without what wraps or accompanies a network.

    Raises:
        CheckpointError: two tensors would have one name, or two sets of weights are mixed.
    """
    spelling = Spelling(tensors, entries)
    yield spelling
    for _ in range(_MAX_WRAPPERS):
        for change in _CHANGES:
            changed = change(spelling)
            if changed is not None:
                spelling = changed
                yield spelling
        inner = _unwrapped(spelling)
        if inner is None:
            break
        spelling = inner
        yield spelling
    yield from _parts(spelling)


def _changed(spelling: Spelling, tensors: Tensors, *notes: str, prefix: str = "") -> Spelling:
    entries = {name.removeprefix(prefix): entry for name, entry in spelling.entries.items()}
    return dataclasses.replace(
        spelling, tensors=tensors, entries=entries, notes=(*spelling.notes, *notes)
    )


def _plain(spelling: Spelling) -> Spelling | None:
    plain = plain_names(spelling.tensors)
    if plain.keys() == spelling.tensors.keys():
        return None
    name, first = next(iter(plain)), next(iter(spelling.tensors))
    return _changed(spelling, plain, prefix=first.removesuffix(name))


def _averaged(spelling: Spelling) -> Spelling | None:
    found = averaged_part(spelling.tensors)
    return _changed(spelling, *found) if found else None


def _without_leftovers(spelling: Spelling) -> Spelling | None:
    dropped = [name for name, tensor in spelling.tensors.items() if is_leftover(name, tensor)]
    kept = {name: t for name, t in spelling.tensors.items() if name not in set(dropped)}
    if not dropped or not kept:
        return None
    return _changed(
        spelling,
        kept,
        f"{len(dropped)} tensors of a loss, metric or profiler not used: {listed(dropped)}",
    )


def _pruned(spelling: Spelling) -> Spelling | None:
    """Multiply as ``torch.nn.utils.prune`` does: W = mask · W_orig."""
    tensors = dict(spelling.tensors)
    stems = [name.removesuffix("_mask") for name in tensors if name.endswith("_mask")]
    stems = [
        stem
        for stem in stems
        if stem not in tensors and _is_pruned(tensors.get(f"{stem}_orig"), tensors[f"{stem}_mask"])
    ]
    for stem in stems:
        original, mask = tensors.pop(f"{stem}_orig"), tensors.pop(f"{stem}_mask")
        tensors[stem] = mask.to(original.dtype) * original
    if not stems:
        return None
    return _changed(
        spelling, tensors, f"{len(stems)} pruned tensors are original times mask: {listed(stems)}"
    )


def _is_pruned(original: torch.Tensor | None, mask: torch.Tensor) -> bool:
    if original is None or original.shape != mask.shape:
        return False
    plain = (
        t.layout is torch.strided and not (t.is_meta or t.is_quantized) for t in (original, mask)
    )
    return original.is_floating_point() and all(plain)


def _unwrapped(spelling: Spelling) -> Spelling | None:
    outer = outer_name(spelling.tensors)
    if outer is None:
        return None
    note = f"the prefix '{outer}.' of every tensor name was dropped"
    return _changed(spelling, inside(spelling.tensors, outer), note, prefix=f"{outer}.")


def _parts(spelling: Spelling) -> Iterator[Spelling]:
    """Yield the largest attributes alone: no network to load, but what to say about the rest."""
    parts: dict[str, int] = {}
    for name, tensor in spelling.tensors.items():
        outer, dot, _ = name.partition(".")
        if dot:
            parts[outer] = parts.get(outer, 0) + (tensor.dim() >= 2)
    for outer in sorted(parts, key=lambda outer: -parts[outer])[:_MAX_PARTS]:
        outside = tuple(n for n in spelling.tensors if not n.startswith(f"{outer}."))
        if outside and parts[outer]:
            yield Spelling(inside(spelling.tensors, outer), {}, (), outer, outside)


_CHANGES: tuple[Callable[[Spelling], Spelling | None], ...] = (
    _plain,
    _averaged,
    _without_leftovers,
    _pruned,
)
