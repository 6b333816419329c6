"""Choosing between the networks that fit; nothing is guessed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cnn_export.checkpoint.candidates import Candidate
from cnn_export.checkpoint.catalog import known_models
from cnn_export.checkpoint.detect import Compared, detect
from cnn_export.checkpoint.recorded import recorded_arguments, recorded_name
from cnn_export.checkpoint.sources import named_source, timm_source
from cnn_export.errors import CheckpointError, ExportError
from cnn_export.models.registry import Shapes

_HOW_TO_NAME = (
    "name the network with --model: a name of --list-models, torchvision:NAME, timm:NAME or"
    " package.module:callable"
)

Recognised = tuple[Candidate, int, tuple[str, ...]]


def recognise(
    spellings: Sequence[Shapes], metadata: Mapping[str, Any], given: Mapping[str, Any]
) -> Recognised:
    """Return the network that fits, the index of the spelling of names it fits, and notes.

    Raises:
        CheckpointError: none or several fit; lists them and the option that chooses.
    """
    detections = [detect(shapes) for shapes in spellings]
    for index, detection in enumerate(detections):
        if detection.matches:
            return _completed(_only(detection.matches, metadata, given), metadata), index, ()
    name = recorded_name(metadata)
    for index, shapes in enumerate(spellings):
        candidate = _recorded(name, shapes, metadata)
        if candidate is not None:
            return candidate, index, (f"the network's name {name!r} is recorded in the checkpoint",)
    nearest = [detection.nearest for detection in detections if detection.nearest]
    raise _unknown(spellings[0], nearest, name)


def _only(
    matches: Sequence[Candidate], metadata: Mapping[str, Any], given: Mapping[str, Any]
) -> Candidate:
    """Return the one match left after what the user and the checkpoint say about it."""
    left = [c for c in matches if _agrees(c, {**recorded_arguments(metadata), **given})]
    left = left or list(matches)
    if len(left) > 1:
        name = recorded_name(metadata)
        left = [c for c in left if c.label == name] or left
    if len(left) == 1:
        return left[0]
    differing = _differing(left)
    choices = " or ".join(f"--model {c.label}{_options(c, differing)}" for c in left)
    raise CheckpointError(
        f"{len(left)} networks of different function have these tensors; choose with {choices}"
    )


def _completed(candidate: Candidate, metadata: Mapping[str, Any]) -> Candidate:
    """Add the arguments recorded for this very network: some change the function, no tensor."""
    recorded = recorded_arguments(metadata) if recorded_name(metadata) == candidate.label else {}
    return candidate.with_recorded(recorded)


def _agrees(candidate: Candidate, said: Mapping[str, Any]) -> bool:
    return all(candidate.arguments.get(key, value) == value for key, value in said.items())


def _differing(candidates: Sequence[Candidate]) -> set[str]:
    keys = {key for candidate in candidates for key in candidate.arguments}
    return {k for k in keys if len({repr(c.arguments.get(k)) for c in candidates}) > 1}


def _options(candidate: Candidate, keys: set[str]) -> str:
    chosen = ((k, v) for k, v in candidate.arguments.items() if k in keys)
    return "".join(f" --model-arg {key}={str(value).lower()}" for key, value in chosen)


def _recorded(name: str | None, shapes: Shapes, metadata: Mapping[str, Any]) -> Candidate | None:
    """Return the network the checkpoint names. A name never imports a module of the user's."""
    if name is None:
        return None
    try:
        source = named_source(name) if name in known_models() else timm_source(name)
    except ExportError:  # timm is not installed or does not know the name: detection's own error
        return None
    return source.resolve(shapes).with_recorded(recorded_arguments(metadata))


def _unknown(shapes: Shapes, alike: Sequence[Compared], name: str | None) -> CheckpointError:
    recorded = f"; the checkpoint calls it {name!r}" if name else ""
    if alike:
        candidate, mismatch = max(alike, key=lambda pair: pair[1].agreeing)
        return CheckpointError(
            f"looks like {candidate}, but {mismatch}{recorded};"
            " give the whole checkpoint, or name another network with --model"
        )
    first = ", ".join(list(shapes)[:3])
    return CheckpointError(
        f"no known network has these {len(shapes)} tensors ({first}, …){recorded}; {_HOW_TO_NAME}"
    )
