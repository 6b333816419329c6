"""Choosing between the networks that fit; nothing is guessed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cnn_export.command_line.packages import install_line
from cnn_export.errors import CheckpointError
from cnn_export.source.contents.leftovers import kind_of
from cnn_export.source.contents.matching import shapes_of
from cnn_export.source.networks.candidates import Candidate
from cnn_export.source.networks.detect import Compared, indexed_matches, matches, nearest
from cnn_export.source.networks.timm_models import is_installed
from cnn_export.source.recognition.evidence import recorded_network, weighed
from cnn_export.source.recognition.mapping import mapped
from cnn_export.source.recorded.recorded import recorded_names
from cnn_export.source.weight_sets.spellings import Spelling

_HOW_TO_NAME = (
    "name the network with --model: a name of --list-models, torchvision:NAME, timm:NAME or"
    " package.module:callable"
)

Recognised = tuple[Candidate, Spelling, tuple[str, ...]]


def recognise(
    spellings: Sequence[Spelling],
    metadata: Mapping[str, Any],
    given: Mapping[str, Any],
    mixed: CheckpointError | None = None,
) -> Recognised:
    """Return the network that fits, the spelling of names that it fits, and notes.

    ``mixed`` is what is wrong with the file if no network fits.

    Raises:
        CheckpointError: none or several fit, or the checkpoint says another; lists them and the
            option that chooses.
    """
    for spelling in spellings:
        found = _matches(spelling)
        if found:
            require_whole(found[0][0], spelling)
            return _noted(*weighed(found, metadata, given))
    for spelling in spellings:
        named = recorded_network(shapes_of(spelling.tensors), metadata)
        if named:
            require_whole(named[0], spelling)
            return _noted(named[0], spelling, named[1])
    for spelling in spellings:
        indexed = indexed_matches(shapes_of(spelling.tensors))
        if indexed:
            require_whole(indexed[0], spelling)
            return _noted(*weighed([(each, spelling) for each in indexed], metadata, given))
    raise mixed or _unknown(spellings, metadata)


def _matches(spelling: Spelling) -> list[tuple[Candidate, Spelling]]:
    """Return the networks that fit, each with the names under which it does."""
    plain = [(candidate, spelling) for candidate in matches(shapes_of(spelling.tensors))]
    renamed = [(c, each.spelling) for c, mismatch, each in mapped(spelling) if not mismatch]
    return [*plain, *renamed]


def require_whole(candidate: Candidate, spelling: Spelling) -> None:
    """Refuse a network that fits only a part of what the file holds.

    Raises:
        CheckpointError: names the part, and the rest.
    """
    if not spelling.outside:
        return
    first, more = spelling.outside[:3], len(spelling.outside) - 3
    rest = ", ".join(first) + (f" and {more} more" if more > 0 else "")
    raise CheckpointError(
        f"{candidate} fits the tensors under '{spelling.part}.', but the file also holds {rest},"
        " which may belong to the network; if they do not, --weights-key"
        f" {spelling.part} exports without them"
    )


def _noted(candidate: Candidate, spelling: Spelling, notes: tuple[str, ...]) -> Recognised:
    return candidate, spelling, (*spelling.notes, *notes)


def _unknown(spellings: Sequence[Spelling], metadata: Mapping[str, Any]) -> CheckpointError:
    names = recorded_names(metadata)
    recorded = f"; the checkpoint calls it {names[0]!r}" if names else ""
    if names and not is_installed():
        recorded += f" (timm, which may know it, is not installed: {install_line(['timm'])})"
    shapes = shapes_of(spellings[0].tensors)
    whole = [s for s in spellings if not s.outside]
    alike = [found for s in whole if (found := _nearest(s))]
    kind = kind_of(shapes)
    if alike:
        return _resembling(max(alike, key=lambda pair: pair[1].agreeing), recorded, kind)
    first = ", ".join(list(shapes)[:3])
    return CheckpointError(
        f"no known network has these {len(shapes)} tensors ({first}, …){recorded};"
        f" {kind or _HOW_TO_NAME}"
    )


def _nearest(spelling: Spelling) -> Compared | None:
    renamed = [(candidate, mismatch) for candidate, mismatch, _ in mapped(spelling)]
    return nearest(shapes_of(spelling.tensors), renamed)


def _resembling(alike: Compared, recorded: str, kind: str | None) -> CheckpointError:
    candidate, mismatch = alike
    if not mismatch.missing and not mismatch.wrong_shape:
        advice = "save the network's tensors alone, or name one that has these with --model"
    elif mismatch.unexpected or mismatch.wrong_shape:
        advice = "name the network that it is with --model"
    else:
        advice = "give the whole checkpoint, or name another network with --model"
    return CheckpointError(f"looks like {candidate}, but {mismatch}{recorded}; {kind or advice}")
