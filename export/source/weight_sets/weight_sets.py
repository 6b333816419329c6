"""Which of several groups of tensors is the network, where a file holds more than one.

Training loops keep averaged weights (EMA) beside the raw ones, and every loop elsewhere. So no
list of places decides: whatever holds the same names and shapes again is another set of weights,
and is preferred, asked back or named, never passed over.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import torch

from cnn_export.errors import CheckpointError, UsageError
from cnn_export.source.contents.groups import Group
from cnn_export.source.contents.matching import listed
from cnn_export.source.contents.names import is_statistic, plain_names, squashed, words

OPTION = "--weights-key"
_RAW = ("state_dict", "model_state_dict", "model", "net", "network", "weights", "params", "module")
_AVERAGED = {"ema", "shadow"}
_UNCERTAIN = {"swa", "avg", "average", "averaged", "averaging", "polyak"}
"""Averages whose batch norm statistics nobody has computed yet, or other averages than weights."""
_MOMENTS = {"exp", "square", "sq", "grad"}
"""Words of averages of gradients, not of weights."""
_SAME = 0.5
"""Share of the tensors that make two groups sets of the same weights."""
_WHOLE_FILE = "."
_SHOWN_MAX = 80

Chosen = tuple[Group, tuple[str, ...]]


def choose(groups: Sequence[Group], key: str | None, *, openmmlab: bool = False) -> Chosen:
    """Return the group to load, and notes on the others.

    ``key`` is the user's choice: a group's path, with ``.`` for the whole file. ``openmmlab``
    tells who saved the file: their hooks swap the names of averaged and raw weights.

    Raises:
        CheckpointError: several could be meant; names them.
        UsageError: ``key`` leads to no tensors.
    """
    weighty = [g for g in groups if g.weighty] or list(groups)
    if key is not None:
        chosen = _keyed(groups, key)
        return _completed(chosen, weighty), (f"weights taken from '{key}', as {OPTION} says",)
    candidates = [g for g in weighty if not g.of_training]
    raw = [g for g in candidates if g.named and (openmmlab or not says_averaged(g.path))]
    averaged = [g for g in candidates if says_averaged(g.path) and not openmmlab]
    main = _main(raw)
    if main is None:
        return _only(averaged or [g for g in candidates if g.named]), ()
    alike = _alike(main)
    same = [g for g in weighty if g is not main and alike(g)]
    again = {id(g) for g in same}
    unsure = [g for g in candidates if id(g) in again and words(g.path) & _UNCERTAIN]
    inner = _in_training([g for g in weighty if id(g) not in again])
    if not averaged and not unsure:
        notes = _passed_over(main, candidates, same, openmmlab)
        return main, (*(notes or _unusual(main)), *inner)
    if len(averaged) == 1 and not unsure and id(averaged[0]) in again and averaged[0].named:
        (best,) = averaged
        chosen = _completed(best, [main])
        rest = [g for g in candidates if g is not main]
        return chosen, (
            f"averaged weights taken from '{best.path}'; the raw ones are in '{shown(main)}'"
            f" ({OPTION} {shown(main)})",
            *_borrowed(best, chosen, main),
            *_passed_over(best, rest, [g for g in same if g is not best], openmmlab),
            *inner,
        )
    raise _several([main, *averaged, *(g for g in unsure if g not in averaged)])


def shown(group: Group) -> str:
    """Return the path as :data:`OPTION` takes it."""
    path = group.path or _WHOLE_FILE
    return path if len(path) <= _SHOWN_MAX else f"{path[:_SHOWN_MAX]}…"


def says_averaged(path: str) -> bool:
    """Tell whether a key speaks of averaged weights that are used as they are."""
    return bool(words(path) & _AVERAGED)


def _main(raw: Sequence[Group]) -> Group | None:
    """Return the raw weights: under a key that says so, else bare, else the only ones."""
    ranked = sorted((g for g in raw if _rank(g) is not None), key=lambda g: _rank(g) or (0, 0))
    if ranked:
        return ranked[0]
    if len(raw) > 1:
        raise _several(raw)
    return raw[0] if raw else None


def _rank(group: Group) -> tuple[int, int] | None:
    if not group.path:
        return len(_RAW), 0
    keys = group.path.split(".")
    return (_RAW.index(keys[0]), len(keys)) if set(keys) <= set(_RAW) else None


def _only(groups: Sequence[Group]) -> Group:
    if len(groups) == 1 and groups[0].named:
        return groups[0]
    if groups:
        raise _several(groups)
    raise CheckpointError("the checkpoint holds no tensors by name; save model.state_dict()")


def _several(groups: Sequence[Group]) -> CheckpointError:
    names = [f"{shown(g)}{'' if g.named else ' (a list, without names)'}" for g in groups[:8]]
    names += ["…"] * (len(groups) > 8)
    first = next((shown(g) for g in groups if g.named), None)
    choice = f"choose with {OPTION} {first}, or " if first else ""
    return CheckpointError(
        f"the checkpoint holds several groups of tensors ({', '.join(names)}), and which one is to"
        f" be exported it does not say; {choice}save that one as a file of its own"
    )


def _keyed(groups: Sequence[Group], key: str) -> Group:
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


def _unusual(main: Group) -> tuple[str, ...]:
    if _rank(main) is not None or main.module is not None:
        return ()
    return (f"weights taken from '{main.path}', the only group of tensors in the file",)


def _passed_over(
    chosen: Group, candidates: Sequence[Group], same: Sequence[Group], openmmlab: bool
) -> tuple[str, ...]:
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


def _in_training(groups: Sequence[Group]) -> tuple[str, ...]:
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


def same_weights(one: Group, other: Group) -> bool:
    """Tell whether the two hold mostly the same: names and shapes, or shapes alone in a list."""
    return _alike(other)(one)


def _alike(main: Group) -> Callable[[Group], bool]:
    """Return :func:`same_weights` with ``main``, spelled once for however many groups."""
    count, spelled = len(_weights(main.tensors)), _spelled(main) if main.named else []
    shapes = Counter(map(_shape, _weights(main.tensors).values()))

    def alike(group: Group) -> bool:
        weights = _weights(group.tensors)
        if not (group.named and main.named):
            return Counter(map(_shape, weights.values())) == shapes
        best = max(len(a & b) for a in _spelled(group) for b in spelled)
        return best >= max(1, _SAME * min(len(weights), count))

    return alike


def _spelled(group: Group) -> list[set[tuple[str, tuple[int, ...]]]]:
    """Return names with shapes, and the same without the outermost attribute."""
    weights = _weights(plain_names(group.tensors))
    names = [(name, _shape(tensor)) for name, tensor in weights.items()]
    return [
        {(squashed(name), shape) for name, shape in names},
        {(squashed(name.partition(".")[2]), shape) for name, shape in names if "." in name},
    ]


def _weights(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: t for name, t in tensors.items() if t.dim() and not is_statistic(name)}


def _shape(tensor: torch.Tensor) -> tuple[int, ...]:
    return tuple(tensor.shape)


def _completed(chosen: Group, others: Sequence[Group]) -> Group:
    """Add batch norm's statistics where only parameters were averaged, as its users do too."""
    tensors = plain_names(chosen.tensors)
    if any(map(is_statistic, tensors)):
        return chosen
    for other in others:
        beside = plain_names(other.tensors)
        if other is not chosen and tensors.keys() <= beside.keys():
            missing = {n: t for n, t in beside.items() if is_statistic(n)}
            if missing and all(beside[n].shape == t.shape for n, t in tensors.items()):
                return dataclasses.replace(chosen, tensors={**tensors, **missing}, module=None)
    return chosen


def _borrowed(before: Group, after: Group, main: Group) -> tuple[str, ...]:
    if after is before:
        return ()
    return (
        f"'{before.path}' holds parameters only; batch norm's statistics are those of"
        f" '{shown(main)}'",
    )
