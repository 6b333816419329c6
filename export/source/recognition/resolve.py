"""Tensors → the one network they belong to, filled; or a line that says why not."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import nn

from cnn_export.errors import CheckpointError, UsageError
from cnn_export.source.contents.float_tensors import require_values, usable
from cnn_export.source.contents.leftovers import kind_of, unused_entries
from cnn_export.source.contents.matching import Mismatch, compare, shapes_of
from cnn_export.source.files.described import class_name
from cnn_export.source.filling.filling import adopt, fill, may_be_renamed
from cnn_export.source.filling.unsaved import constants, other_draws, require_same_constants
from cnn_export.source.networks.candidates import Candidate
from cnn_export.source.networks.model_names import Source, parse_source
from cnn_export.source.recognition.evidence import built_as_recorded, contradictions
from cnn_export.source.recognition.mapping import readings
from cnn_export.source.recognition.multiplier import Hints, with_multiplier
from cnn_export.source.recognition.recognise import recognise, require_whole
from cnn_export.source.weight_sets.spellings import Spelling, spellings

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

    ``entries`` are the members of the tensors' mapping that are none.

    Raises:
        CheckpointError: no network, several, or differing tensors; names them. Or nothing says
            an argument that the tensors do not show.
        UsageError: the network cannot be built with the given arguments.
    """
    require_values(tensors)
    if source is not None:
        return _asked_for(source, tensors, entries, metadata, given, hints)
    readings, mixed = _readings(tensors, entries)
    candidate, spelling, notes = recognise(readings, metadata, given, mixed)
    attempt = _attempt(candidate, spelling, given)
    if attempt.mismatch:
        raise _mismatched(attempt)
    return _finished(attempt, given, hints, notes)


@dataclasses.dataclass(frozen=True)
class _Attempt:
    """A network built as it is asked for, beside the tensors as one spelling names them.

    ``candidate`` is what the tensors or the user say, ``asked`` the same with ``--model-arg``.
    """

    candidate: Candidate
    asked: Candidate
    module: nn.Module
    mismatch: Mismatch
    spelling: Spelling


def _attempt(
    candidate: Candidate,
    spelling: Spelling,
    given: Mapping[str, Any],
    earlier: _Attempt | None = None,
) -> _Attempt:
    """Build the network and compare; ``earlier`` lends its module where it is the same one."""
    asked = candidate.with_arguments(given)
    if earlier is not None and str(earlier.asked) == str(asked):
        module = earlier.module
    else:
        module = _constructed(candidate, asked)
    mismatch = compare(shapes_of(spelling.tensors), module)
    return _Attempt(candidate, asked, module, mismatch, spelling)


def _asked_for(
    source: Source,
    tensors: Tensors,
    entries: Mapping[str, Any],
    metadata: Mapping[str, Any],
    given: Mapping[str, Any],
    hints: Hints,
) -> Network:
    """Find the spelling of the file's names that fits the network the user names."""
    readings, mixed = _readings(tensors, entries)
    attempts: list[_Attempt] = []
    earlier: _Attempt | None = None
    for spelling in readings:
        candidate = source.resolve(shapes_of(spelling.tensors))
        earlier = attempt = _attempt(candidate, spelling, given, earlier)
        notes = (*spelling.notes, *contradictions(candidate, metadata))
        if not attempt.mismatch:
            require_whole(candidate, spelling)
            return _finished(attempt, given, hints, notes)
        if spelling.outside:
            continue
        if adopted := _adopted(attempt.asked, spelling):
            return adopted, attempt.asked, (*notes, _RENAMED)
        attempts.append(attempt)
        for renamed in _renamed(source, spelling, given):
            if not renamed.mismatch:
                notes = (*renamed.spelling.notes, *contradictions(renamed.candidate, metadata))
                return _finished(renamed, given, hints, notes)
            attempts.append(renamed)
    raise mixed or _mismatched(max(attempts, key=_closeness))


def _renamed(source: Source, spelling: Spelling, given: Mapping[str, Any]) -> Iterator[_Attempt]:
    """Yield the network the user names under the names of every layout that the file may have."""
    for reading in readings(spelling):
        if parse_source(reading.network).label == source.label:
            yield _attempt(reading.candidate(), reading.spelling, given)


def _closeness(attempt: _Attempt) -> tuple[int, int]:
    return attempt.mismatch.agreeing, -attempt.mismatch.problems


def _readings(
    tensors: Tensors, entries: Mapping[str, Any]
) -> tuple[list[Spelling], CheckpointError | None]:
    """Return the spellings, and what is wrong with the file if none of them fits."""
    found: list[Spelling] = []
    try:
        found.extend(spellings(tensors, entries))
    except CheckpointError as error:
        return found, error
    return found, None


def _finished(
    attempt: _Attempt, given: Mapping[str, Any], hints: Hints, notes: tuple[str, ...]
) -> Network:
    module, spelling = attempt.module, attempt.spelling
    said, said_notes = with_multiplier(attempt.candidate, given, hints)
    if said.arguments != attempt.asked.arguments:
        module = said.construct(empty=True)
    named, conversions = usable(spelling.tensors)
    unused = unused_entries(module, spelling.entries)
    filled = _filled(module, said, named, spelling.entries)
    counters = _counter_notes(attempt.mismatch)
    return filled, said, (*conversions, *notes, *said_notes, *counters, *unused)


def _constructed(candidate: Candidate, asked: Candidate) -> nn.Module:
    """Build what was asked for; where the file's own record forbids it, say that."""
    try:
        return asked.construct(empty=True)
    except UsageError:
        if candidate.recorded:
            built_as_recorded(candidate)
        raise


def _filled(
    module: nn.Module, candidate: Candidate, tensors: Tensors, entries: Mapping[str, Any]
) -> nn.Module:
    filled = fill(module, tensors, entries)
    if filled is None:
        filled = fill(candidate.construct(empty=False), tensors, entries)
    if filled is None:
        raise CheckpointError(f"{candidate} keeps tensors without data; build it with real ones")
    made = {} if candidate.lean else constants(filled)
    if made:  # the user's own class: are they the same each time?
        with other_draws():
            again = fill(candidate.construct(empty=False), tensors, entries)
        require_same_constants(again or filled, made)
    return filled


def _adopted(candidate: Candidate, spelling: Spelling) -> nn.Module | None:
    """Return the network where its own loading code renames what the file holds."""
    module = candidate.construct(empty=False)
    if not may_be_renamed(module, spelling.tensors):
        return None
    tensors, _ = usable(spelling.tensors)
    extras = {k: v for k, v in spelling.entries.items() if k.endswith("_extra_state")}
    if not adopt(module, tensors, extras):
        return None
    made = {} if candidate.lean else constants(module)
    if made:
        with other_draws():
            again = candidate.construct(empty=False)
            adopt(again, tensors, extras)
        require_same_constants(again, made)
    return module


def _counter_notes(mismatch: Mismatch) -> tuple[str, ...]:
    if not mismatch.counters_missing:
        return ()
    return (
        f"{mismatch.counters_missing} num_batches_tracked counters are not in the file;"
        " inference does not read them",
    )


def _mismatched(attempt: _Attempt) -> CheckpointError:
    candidate, asked, mismatch = attempt.candidate, attempt.asked, attempt.mismatch
    conflicts = [
        f"the tensors show {key}={candidate.arguments[key]!r},"
        f" --model-arg asks for {asked.arguments[key]!r}"
        for key in candidate.arguments
        if key in candidate.inferred and asked.arguments[key] != candidate.arguments[key]
    ]
    kind, entries = kind_of(mismatch.unexpected), attempt.spelling.entries
    advice = [kind] if kind else []
    odd = [name for name in mismatch.missing if name in entries]
    advice += [f"{name} is a {class_name(entries[name])}, no tensor" for name in odd[:1]]
    reason = "; ".join([*conflicts, str(mismatch), *advice])
    return CheckpointError(f"does not match {asked}: {reason}")
