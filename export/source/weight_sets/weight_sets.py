"""Which of several groups of tensors is the network, where a file holds more than one.

Training loops keep averaged weights (EMA) beside the raw ones, and every loop elsewhere. So no
list of places decides: whatever holds the same names and shapes again is another set of weights,
and is preferred, asked back or named, never passed over.
"""

from __future__ import annotations

from collections.abc import Sequence

from cnn_export.errors import CheckpointError
from cnn_export.source.contents.groups import Group
from cnn_export.source.weight_sets.group_names import (
    OPTION,
    averages_in_training,
    keyed,
    passed_over,
    says_averaged,
    says_uncertain,
    several,
    shown,
)
from cnn_export.source.weight_sets.same_weights import alike_with, borrowed_note, completed

_RAW = ("state_dict", "model_state_dict", "model", "net", "network", "weights", "params", "module")
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
        chosen = keyed(groups, key)
        return completed(chosen, weighty), (f"weights taken from '{key}', as {OPTION} says",)
    candidates = [g for g in weighty if not g.of_training]
    raw = [g for g in candidates if g.named and (openmmlab or not says_averaged(g.path))]
    averaged = [g for g in candidates if says_averaged(g.path) and not openmmlab]
    main = _main(raw)
    if main is None:
        return _only(averaged or [g for g in candidates if g.named]), ()
    alike = alike_with(main)
    same = [g for g in weighty if g is not main and alike(g)]
    again = {id(g) for g in same}
    unsure = [g for g in candidates if id(g) in again and says_uncertain(g.path)]
    inner = averages_in_training([g for g in weighty if id(g) not in again])
    if not averaged and not unsure:
        notes = passed_over(main, candidates, same, openmmlab)
        return main, (*(notes or _unusual(main)), *inner)
    if len(averaged) == 1 and not unsure and id(averaged[0]) in again and averaged[0].named:
        (best,) = averaged
        chosen = completed(best, [main])
        rest = [g for g in candidates if g is not main]
        return chosen, (
            f"averaged weights taken from '{best.path}'; the raw ones are in '{shown(main)}'"
            f" ({OPTION} {shown(main)})",
            *borrowed_note(best, chosen, main),
            *passed_over(best, rest, [g for g in same if g is not best], openmmlab),
            *inner,
        )
    raise several([main, *averaged, *(g for g in unsure if g not in averaged)])


def _main(raw: Sequence[Group]) -> Group | None:
    """Return the raw weights: under a key that says so, else bare, else the only ones."""
    ranked = sorted((g for g in raw if _rank(g) is not None), key=lambda g: _rank(g) or (0, 0))
    if ranked:
        return ranked[0]
    if len(raw) > 1:
        raise several(raw)
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
        raise several(groups)
    raise CheckpointError("the checkpoint holds no tensors by name; save model.state_dict()")


def _unusual(main: Group) -> tuple[str, ...]:
    if _rank(main) is not None or main.module is not None:
        return ()
    return (f"weights taken from '{main.path}', the only group of tensors in the file",)
