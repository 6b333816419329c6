"""What a group's key says of it, how the user asks for it, and how notes name it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from cnn_export.errors import CheckpointError, UsageError
from cnn_export.source.contents.groups import Group
from cnn_export.source.contents.matching import listed
from cnn_export.source.contents.names import plain_names, words

OPTION = "--weights-key"
_AVERAGED = {"ema", "shadow"}
_UNCERTAIN = {"swa", "avg", "average", "averaged", "averaging", "polyak"}
"""Averages whose batch norm statistics nobody has computed yet, or other averages than weights."""
_MOMENTS = {"exp", "square", "sq", "grad"}
"""Words of averages of gradients, not of weights."""
_WHOLE_FILE = "."
_SHOWN_MAX = 80


def shown(group: Group) -> str:
    """Return the path as :data:`OPTION` takes it."""
    path = group.path or _WHOLE_FILE
    return path if len(path) <= _SHOWN_MAX else f"{path[:_SHOWN_MAX]}…"


def says_averaged(path: str) -> bool:
    """Tell whether a key speaks of averaged weights that are used as they are."""
    return bool(words(path) & _AVERAGED)


def says_uncertain(path: str) -> bool:
    """Tell whether a key speaks of averages that nobody may use as they are."""
    return bool(words(path) & _UNCERTAIN)


def keyed(groups: Sequence[Group], key: str) -> Group:
    """Return the group that the user's key leads to.

    Raises:
        UsageError: it leads to no tensors by name; lists the keys that do.
    """
    path = "" if key == _WHOLE_FILE else key
    exact = next((g for g in groups if g.path == path and g.named), None)
    if exact is not None:
        return exact
    named = [g for g in groups if g.named and not g.of_training]
    plain = [dataclasses.replace(g, tensors=plain_names(g.tensors)) for g in named]
    for group in (*named, *plain):
        for prefix in (f"{path.removeprefix(f'{group.path}.')}.", f"{path}."):
            if any(name.startswith(prefix) for name in group.tensors):
                return _part(group, prefix, f"{group.path}.{prefix[:-1]}".lstrip("."))
    paths = [shown(g) for g in groups if g.named and not g.of_training]
    raise UsageError(
        f"{OPTION} {key} leads to no tensors by name; the file has them in {listed(paths)}"
    )


def _part(group: Group, prefix: str, path: str) -> Group:
    tensors = {n.removeprefix(prefix): t for n, t in group.tensors.items() if n.startswith(prefix)}
    entries = {n.removeprefix(prefix): e for n, e in group.entries.items() if n.startswith(prefix)}
    return Group(path, tensors, entries)


def several(groups: Sequence[Group]) -> CheckpointError:
    """Return the refusal to choose between groups."""
    names = [f"{shown(g)}{'' if g.named else ' (a list, without names)'}" for g in groups[:8]]
    names += ["…"] * (len(groups) > 8)
    first = next((shown(g) for g in groups if g.named), None)
    choice = f"choose with {OPTION} {first}, or " if first else ""
    return CheckpointError(
        f"the checkpoint holds several groups of tensors ({', '.join(names)}), and which one is to"
        f" be exported it does not say; {choice}save that one as a file of its own"
    )


def passed_over(
    chosen: Group, candidates: Sequence[Group], same: Sequence[Group], openmmlab: bool
) -> tuple[str, ...]:
    """Return notes on the groups that are not used."""
    known = {id(chosen), *map(id, same)}
    again = [shown(g) for g in same if g is not chosen]
    others = [shown(g) for g in candidates if id(g) not in known]
    named = next((shown(g) for g in same if g is not chosen and g.named), None)
    key = f" ({OPTION} {named})" if named else ""
    notes: list[str] = []
    if again:
        why = "; OpenMMLab saves the averaged ones under the plain name" if openmmlab else ""
        notes.append(
            f"weights taken from '{shown(chosen)}'; the same tensors are again in"
            f" {listed(again)}, not used{key}{why}"
        )
    if others:
        notes.append(f"tensors in {listed(others)} are not used")
    return tuple(notes)


def averages_in_training(groups: Sequence[Group]) -> tuple[str, ...]:
    """Return a note on averages that an optimizer keeps; its moments (``exp_avg``) are none."""
    averages = [
        shown(group)
        for group in groups
        if group.of_training
        and any(_means_average(key) for key in (*group.path.split("."), *group.tensors))
    ]
    return (f"averages in {listed(averages)} are not used",) if averages else ()


def _means_average(key: str) -> bool:
    said = words(key)
    return bool(said & _AVERAGED or (said & _UNCERTAIN and not said & _MOMENTS))
