"""What a checkpoint says about its network against what its tensors fit.

Tensors show neither strides, dilations, activations nor pooling, and networks differ in just
these: a blurred ResNet has a ResNet's tensors. So a recorded name decides where a library knows
it, and a name that cannot be true is refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from cnn_export.errors import CheckpointError, UsageError
from cnn_export.models.registry import Shapes
from cnn_export.source.contents.matching import Mismatch, compare, shapes_of
from cnn_export.source.networks.candidates import Candidate
from cnn_export.source.networks.model_names import Source, timm_source
from cnn_export.source.networks.timm_models import known_name
from cnn_export.source.recognition.choosing import only_one
from cnn_export.source.recognition.recorded_network_names import (
    NAMES_MAX,
    believable_names,
    is_called,
    is_labelled,
    is_otherwise_called,
    library_network,
    unknown_name,
)
from cnn_export.source.recorded.recorded import described, recorded_names
from cnn_export.source.recorded.recorded_arguments import believable_arguments, recorded_arguments
from cnn_export.source.weight_sets.spellings import Spelling

_SHAPES_ONLY = (
    "tensor names and shapes alone decided, which show no stride, dilation, activation or pooling:"
    " they are those of the published {}"
)
_IMAGENET_CLASSES = 1000
_SMALL_SIDE = 64
Weighed = tuple[Candidate, tuple[str, ...]]
Found = tuple[Candidate, Spelling]
Decided = tuple[Candidate, Spelling, tuple[str, ...]]


def weighed(
    fitting: Sequence[Found],
    metadata: Mapping[str, Any],
    given: Mapping[str, Any],
) -> Decided:
    """Return the one network that tensors, record and user agree on, its spelling, and notes.

    ``fitting`` are the networks whose tensors these are, each with the names under which they are.

    Raises:
        CheckpointError: the record names another network or impossible arguments, or several
            networks are left; names them and the option that chooses.
    """
    found = [candidate for candidate, _ in fitting]
    names = believable_names(metadata)
    strange = [name for name in names if not any(is_called(c, name) for c in found)]
    others = {name: source for name in strange if (source := library_network(name))}
    _refuse_relatives(found, [name for name in strange if name not in others])
    unknown = tuple(unknown_name(n, found[0]) for n in strange if n not in others)
    named = [c for c in found if any(is_called(c, name) for name in names)]
    if others:
        agreeing = [name for name in names if name not in strange]
        candidate, spelling, notes = _other(fitting, others, agreeing, metadata)
        return candidate, spelling, (*unknown, *notes)
    chosen = only_one(named or found, metadata, given)
    spelling = next(each for candidate, each in fitting if candidate is chosen)
    candidate, notes = _with_arguments(chosen, shapes_of(spelling.tensors), metadata)
    if not _is_told(candidate, spelling, names):
        notes = (*notes, _SHAPES_ONLY.format(candidate))
    return candidate, spelling, (*unknown, *notes)


def _is_told(candidate: Candidate, spelling: Spelling, names: Sequence[str]) -> bool:
    """Whether a recorded name says which network it is, not only of which family.

    Repositories call their own variants by the family's name, and change strides with the data set.
    """
    if spelling.layout or not any(is_labelled(candidate, name) for name in names):
        return False
    shown = candidate.arguments
    classes = shown.get("num_classes", shown.get("classes", _IMAGENET_CLASSES))
    small = candidate.input_size is not None and max(candidate.input_size[1:]) <= _SMALL_SIDE
    return candidate.recorded or small or classes == _IMAGENET_CLASSES


def _refuse_relatives(found: Sequence[Candidate], names: Sequence[str]) -> None:
    for name in names:
        if any(is_otherwise_called(candidate, name) for candidate in found):
            raise CheckpointError(
                f"the checkpoint calls itself {name!r}, but its tensors are those of {found[0]};"
                f" choose with --model {found[0].label}, or save it with the true name"
            )


def recorded_network(shapes: Shapes, metadata: Mapping[str, Any]) -> Weighed | None:
    """Return the network that the checkpoint names and whose tensors it holds.

    A name never imports a module of the user's.

    Raises:
        CheckpointError: several names fit, or the recorded arguments make no network.
    """
    fitting: dict[str, Weighed] = {}
    for name in believable_names(metadata):
        source = library_network(name)
        if source is None:
            continue
        candidate = source.resolve(shapes).with_recorded(believable_arguments(metadata, shapes))
        if not compare(shapes, built_as_recorded(candidate)):
            note = f"the network's name {name!r} is recorded in the checkpoint"
            fitting.setdefault(candidate.label, (candidate, (note,)))
    if len(fitting) > 1:
        choices = " or ".join(f"--model {label}" for label in fitting)
        raise CheckpointError(
            f"the checkpoint records several networks that its tensors fit; choose with {choices}"
        )
    return next(iter(fitting.values()), None)


def built_as_recorded(candidate: Candidate) -> nn.Module:
    """Build the network without memory for weights.

    Raises:
        CheckpointError: the arguments that the checkpoint records forbid it.
    """
    try:
        return candidate.construct(empty=True)
    except UsageError as error:
        raise CheckpointError(
            f"the model_args recorded in the checkpoint do not fit: {error.__cause__ or error};"
            f" save it with the true ones, or give --model {candidate.label}"
        ) from error


def contradictions(candidate: Candidate, metadata: Mapping[str, Any]) -> tuple[str, ...]:
    """Return notes on what is recorded and not used, where the user names the network."""
    if ":" in candidate.label.removeprefix("timm:"):
        names: tuple[str, ...] = ()  # a class of the user's own may be called anything
    else:
        said = recorded_names(metadata)[:NAMES_MAX]
        names = tuple(n for n in said if not is_called(candidate, n))
    notes = [f"the checkpoint calls itself {n!r}; --model names {candidate.label}" for n in names]
    try:
        arguments = recorded_arguments(metadata)
    except CheckpointError as error:  # no reason to refuse what the user names
        return (*notes, f"{str(error).partition(';')[0]}; not used")
    if arguments:
        notes.append(
            f"the arguments recorded in the checkpoint{described(arguments)} are not used;"
            " give those that hold with --model-arg"
        )
    return tuple(notes)


def _other(
    fitting: Sequence[Found],
    others: Mapping[str, Source],
    agreeing: Sequence[str],
    metadata: Mapping[str, Any],
) -> Decided:
    """Use the recorded network in place of those that shapes alone would give, or refuse."""
    found = [candidate for candidate, _ in fitting]
    name, source = next(iter(others.items()))
    labels = dict.fromkeys(each.label for each in others.values())
    if agreeing or len(labels) > 1:
        called = " and ".join(map(repr, [*agreeing, *others]))
        choices = " or ".join(f"--model {c}" for c in (*(c.label for c in found), *labels))
        raise CheckpointError(
            f"the checkpoint calls itself {called}, and its tensors fit {found[0].label};"
            f" choose with {choices}"
        )
    compared = [_compared(source, each, metadata) for each in _spellings(fitting)]
    candidate, spelling, mismatch = min(compared, key=lambda each: each[2].problems)
    if mismatch:
        raise CheckpointError(
            f"the checkpoint calls itself {name!r}, but its tensors are those of {found[0]}"
            f" ({candidate.label}: {mismatch}); choose with --model {found[0].label}, or save it"
            " with the true name"
        )
    note = (
        f"the checkpoint calls itself {name!r}, and its tensors fit: it is used in place of"
        f" {found[0].label}, which has the same tensors"
    )
    return candidate, spelling, (note,)


def _spellings(fitting: Sequence[Found]) -> list[Spelling]:
    """Return the spellings, each once."""
    return list({id(spelling): spelling for _, spelling in fitting}.values())


def _compared(
    source: Source, spelling: Spelling, metadata: Mapping[str, Any]
) -> tuple[Candidate, Spelling, Mismatch]:
    shapes = shapes_of(spelling.tensors)
    candidate = source.resolve(shapes).with_recorded(believable_arguments(metadata, shapes))
    return candidate, spelling, compare(shapes, built_as_recorded(candidate))


def _with_arguments(candidate: Candidate, shapes: Shapes, metadata: Mapping[str, Any]) -> Weighed:
    """Add the recorded arguments: some change the function, and no tensor."""
    arguments = believable_arguments(metadata, shapes)
    if not arguments:
        return candidate, ()
    recorded = candidate.with_recorded(arguments)
    try:
        recorded.construct(empty=True)
    except UsageError:
        name = known_name(candidate.label)
        twin = timm_source(name).resolve(shapes).with_recorded(arguments) if name else None
        if twin is None or not _fits(twin, shapes):
            return recorded, ()  # whoever builds it says what is wrong with the arguments
        return twin, (
            f"the recorded arguments{described(arguments)} are {twin.label}'s, which is used",
        )
    return recorded, (f"built with the recorded arguments{described(arguments)}",)


def _fits(candidate: Candidate, shapes: Shapes) -> bool:
    try:
        return not compare(shapes, candidate.construct(empty=True))
    except UsageError:
        return False
