"""What a checkpoint says about its network against what its tensors fit.

Tensors show neither strides, dilations, activations nor pooling, and networks differ in just
these: a blurred ResNet has a ResNet's tensors. So a recorded name decides where a library knows
it, and a name that cannot be true is refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from cnn_export.errors import CheckpointError, UsageError
from cnn_export.models.registry import Shapes
from cnn_export.source.contents.matching import compare, shapes_of
from cnn_export.source.networks.candidates import Candidate
from cnn_export.source.networks.catalog import known_models
from cnn_export.source.networks.model_names import Source, named_source, parse_source, timm_source
from cnn_export.source.networks.timm_models import is_installed, known_name
from cnn_export.source.networks.torchvision_models import torchvision_classifiers
from cnn_export.source.recorded.recorded import described, recorded_names
from cnn_export.source.recorded.recorded_arguments import believable_arguments, recorded_arguments
from cnn_export.source.weight_sets.spellings import Spelling

_SHAPES_ONLY = (
    "tensor names and shapes alone decided, which show no stride, dilation, activation or pooling:"
    " they are those of the published {}"
)
_NAMES_MAX = 16
INSTALL_TIMM = "pip install 'cnn-export[timm]'"

Weighed = tuple[Candidate, tuple[str, ...]]


def weighed(
    found: Sequence[Candidate],
    spelling: Spelling,
    metadata: Mapping[str, Any],
    given: Mapping[str, Any],
) -> Weighed:
    """Return the one network that tensors, record and user agree on, and notes.

    Raises:
        CheckpointError: the record names another network or impossible arguments, or several
            networks are left; names them and the option that chooses.
    """
    shapes = shapes_of(spelling.tensors)
    names = _believable_names(metadata)
    strange = [name for name in names if not any(_is_called(c, name) for c in found)]
    others = {name: source for name in strange if (source := _library(name))}
    unknown = tuple(_unknown_name(n, found[0]) for n in strange if n not in others)
    named = [c for c in found if any(_is_called(c, name) for name in names)]
    if others:
        agreeing = [name for name in names if name not in strange]
        candidate, notes = _other(found, others, agreeing, shapes, metadata)
        return candidate, (*unknown, *notes)
    candidate = _only(named or found, metadata, given)
    candidate, notes = _with_arguments(candidate, shapes, metadata)
    if not named:
        notes = (*notes, _SHAPES_ONLY.format(candidate.label))
    return candidate, (*unknown, *notes)


def recorded_network(shapes: Shapes, metadata: Mapping[str, Any]) -> Weighed | None:
    """Return the network that the checkpoint names and whose tensors it holds.

    A name never imports a module of the user's.

    Raises:
        CheckpointError: several names fit, or the recorded arguments make no network.
    """
    fitting: dict[str, Weighed] = {}
    for name in _believable_names(metadata):
        source = _library(name)
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
        said = recorded_names(metadata)[:_NAMES_MAX]
        names = tuple(n for n in said if not _is_called(candidate, n))
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


def _believable_names(metadata: Mapping[str, Any]) -> tuple[str, ...]:
    names = recorded_names(metadata)
    if len(names) > _NAMES_MAX:
        raise CheckpointError(
            f"the checkpoint records {len(names)} names of networks; choose one with --model"
        )
    return names


def _other(
    found: Sequence[Candidate],
    others: Mapping[str, Source],
    agreeing: Sequence[str],
    shapes: Shapes,
    metadata: Mapping[str, Any],
) -> Weighed:
    """Use the recorded network in place of those that shapes alone would give, or refuse."""
    name, source = next(iter(others.items()))
    labels = dict.fromkeys(each.label for each in others.values())
    if agreeing or len(labels) > 1:
        called = " and ".join(map(repr, [*agreeing, *others]))
        choices = " or ".join(f"--model {c}" for c in (*(c.label for c in found), *labels))
        raise CheckpointError(
            f"the checkpoint calls itself {called}, and its tensors fit {found[0].label};"
            f" choose with {choices}"
        )
    candidate = source.resolve(shapes).with_recorded(believable_arguments(metadata, shapes))
    mismatch = compare(shapes, built_as_recorded(candidate))
    if mismatch:
        raise CheckpointError(
            f"the checkpoint calls itself {name!r}, but its tensors are those of {found[0]}"
            f" ({candidate.label}: {mismatch}); choose with --model {found[0].label}, or save it"
            " with the true name"
        )
    return candidate, (
        f"the checkpoint calls itself {name!r}, and its tensors fit: it is used in place of"
        f" {found[0].label}, which has the same tensors",
    )


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


def _unknown_name(name: str, candidate: Candidate) -> str:
    """Return the note on a name that no library knows; without timm, refuse what may be its."""
    if is_installed():
        return f"the checkpoint calls itself {name!r}, which no library here knows"
    label, called = _normal(candidate.label), _normal(name)
    stem = re.match(r"[a-z]*", label)
    if stem and stem[0] in called and not label.startswith(called):
        raise CheckpointError(
            f"the checkpoint calls itself {name!r}, which timm may know and which may be another"
            f" network with the tensors of {candidate.label}; {INSTALL_TIMM}, or say what it is"
            f" with --model {candidate.label}"
        )
    return f"the checkpoint calls itself {name!r}, which is unknown here (timm is not installed)"


def _library(name: str) -> Source | None:
    """Return the network of that name in this package, torchvision or timm."""
    for spelled in _spelled(name):
        ours = {_normal(known): known for known in known_models()}
        if known := ours.get(_normal(spelled)):
            return named_source(known)
        if spelled in torchvision_classifiers():
            return parse_source(f"torchvision:{spelled}")
    for spelled in _spelled(name):
        if known := known_name(spelled):
            return timm_source(known)
    return None


def _is_called(candidate: Candidate, name: str) -> bool:
    label = _normal(candidate.label.removeprefix("timm:"))
    return any(_normal(spelled) == label for spelled in _spelled(name))


def _spelled(name: str) -> list[str]:
    """Return the name, and what it is without an owner, package or tag around it."""
    inner = re.split(r"[/:]", name)[-1]
    return [name, inner, inner.split(".")[0], inner.split(".")[-1]]


def _normal(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _only(
    found: Sequence[Candidate], metadata: Mapping[str, Any], given: Mapping[str, Any]
) -> Candidate:
    """Return the one match left after what the user and the checkpoint say about it."""
    left = [c for c in found if _agrees(c, {**recorded_arguments(metadata), **given})]
    left = left or list(found)
    if len(left) == 1:
        return left[0]
    differing = _differing(left)
    choices = " or ".join(f"--model {c.label}{_options(c, differing)}" for c in left)
    raise CheckpointError(
        f"{len(left)} networks of different function have these tensors; choose with {choices}"
    )


def _agrees(candidate: Candidate, said: Mapping[str, Any]) -> bool:
    return all(candidate.arguments.get(key, value) == value for key, value in said.items())


def _differing(candidates: Sequence[Candidate]) -> set[str]:
    keys = {key for candidate in candidates for key in candidate.arguments}
    return {k for k in keys if len({repr(c.arguments.get(k)) for c in candidates}) > 1}


def _options(candidate: Candidate, keys: set[str]) -> str:
    chosen = ((k, v) for k, v in candidate.arguments.items() if k in keys)
    return "".join(f" --model-arg {key}={str(value).lower()}" for key, value in chosen)
