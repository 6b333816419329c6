"""Tensors → the one network they belong to, filled; or a line that says why not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import nn

from cnn_export.checkpoint.candidates import Candidate
from cnn_export.checkpoint.containers import without_outer_name
from cnn_export.checkpoint.filling import adopt, fill
from cnn_export.checkpoint.matching import Mismatch, compare, shapes_of
from cnn_export.checkpoint.multiplier import Hints, with_multiplier
from cnn_export.checkpoint.recognise import recognise
from cnn_export.checkpoint.sources import Source
from cnn_export.errors import CheckpointError, UsageError

Tensors = Mapping[str, torch.Tensor]
_RENAMED = "the network's own loading code renamed the file's tensors; each is there once"
Network = tuple[nn.Module, Candidate, tuple[str, ...]]


def network_for(
    tensors: Tensors,
    entries: Mapping[str, Any],
    metadata: Mapping[str, Any],
    source: Source | None,
    given: Mapping[str, Any],
    hints: Hints,
) -> Network:
    """Return the filled network in eval mode, its candidate, and notes.

    Raises:
        CheckpointError: no network, several, or differing tensors; names them. Or nothing says
            an argument that the tensors do not show.
        UsageError: the network cannot be built with the given arguments.
    """
    spellings = list(_spellings(tensors))
    if source is not None:
        proposals = [(source.resolve(shapes_of(t)), t, n) for t, n in spellings]
    else:
        candidate, index, found = recognise([shapes_of(t) for t, _ in spellings], metadata, given)
        proposals = [(candidate, spellings[index][0], (*spellings[index][1], *found))]
    mismatches: list[tuple[Candidate, Mismatch]] = []
    for candidate, named, notes in proposals:
        asked = candidate.with_arguments(given)
        module = _constructed(candidate, asked)
        mismatch = compare(shapes_of(named), module)
        if not mismatch:
            said, said_notes = with_multiplier(candidate, given, hints)
            if said.arguments != asked.arguments:
                module = said.construct(empty=True)
            notes = (*notes, *said_notes, *_counter_notes(mismatch))
            return _filled(module, said, named, entries), said, notes
        mismatches.append((candidate, mismatch))
        if source is not None and (adopted := _adopted(asked, named, entries)):
            return adopted, asked, (*notes, _RENAMED)
    best = max(mismatches, key=lambda pair: pair[1].agreeing)
    raise _mismatched(*best, given)


def _constructed(candidate: Candidate, asked: Candidate) -> nn.Module:
    """Build what was asked for; where the file's own record forbids it, say that."""
    try:
        return asked.construct(empty=True)
    except UsageError:
        if candidate.recorded:
            _require_buildable(candidate)
        raise


def _require_buildable(candidate: Candidate) -> None:
    try:
        candidate.construct(empty=True)
    except UsageError as error:
        raise CheckpointError(
            f"the model_args recorded in the checkpoint do not fit: {error.__cause__ or error};"
            f" save it with the true ones, or give --model {candidate.label}"
        ) from error


def _spellings(tensors: Tensors) -> Iterator[tuple[Tensors, tuple[str, ...]]]:
    """Yield the names as they are, then without one attribute around all (``model.``)."""
    yield tensors, ()
    inner = without_outer_name(tensors)
    if inner is not None:
        outer = next(iter(tensors)).partition(".")[0]
        yield inner, (f"the prefix '{outer}.' of every tensor name was dropped",)


def _filled(
    module: nn.Module, candidate: Candidate, tensors: Tensors, entries: Mapping[str, Any]
) -> nn.Module:
    filled = fill(module, tensors, entries)
    if filled is None:
        filled = fill(candidate.construct(empty=False), tensors, entries)
    if filled is None:
        raise CheckpointError(f"{candidate} keeps tensors without data; build it with real ones")
    return filled


def _adopted(
    candidate: Candidate, tensors: Tensors, entries: Mapping[str, Any]
) -> nn.Module | None:
    """Return the network where its own loading code renames what the file holds."""
    module = candidate.construct(empty=False)
    return module if adopt(module, tensors, entries) else None


def _counter_notes(mismatch: Mismatch) -> tuple[str, ...]:
    if not mismatch.counters_missing:
        return ()
    return (
        f"{mismatch.counters_missing} num_batches_tracked counters are not in the file;"
        " inference does not read them",
    )


def _mismatched(
    candidate: Candidate, mismatch: Mismatch, given: Mapping[str, Any]
) -> CheckpointError:
    asked = candidate.with_arguments(given)
    conflicts = [
        f"the tensors show {key}={candidate.arguments[key]!r},"
        f" --model-arg asks for {asked.arguments[key]!r}"
        for key in candidate.arguments
        if key in candidate.inferred and asked.arguments[key] != candidate.arguments[key]
    ]
    reason = "; ".join([*conflicts, str(mismatch)])
    return CheckpointError(f"does not match {asked}: {reason}")
