"""The identity tensor multiplier of a checkpoint: no tensor shows it, so somebody has to say it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

from cnn_export.errors import CheckpointError, UsageError
from cnn_export.models.identity_tensor_multiplier import ARGUMENT, PUBLISHED, parse_multiplier
from cnn_export.source.networks.candidates import Candidate
from cnn_export.source.request import MULTIPLIER_OPTION

PUBLISHED_FOLDERS = {
    "74_02_full_id_tensor": Fraction(1),
    "74_09_i2rnetv3_half_id": Fraction(1, 2),
}
"""Folders of the authors' repository that hold one ``model_best.pth.tar`` each."""


@dataclasses.dataclass(frozen=True)
class Hints:
    """What is known beside the checkpoint's content: its folder, and what the user states."""

    folder: str | None = None
    stated: Fraction | None = None


def hints_for(path: Path, stated: Fraction | None) -> Hints:
    """Look for a published folder's name on the path, innermost first, links followed last."""
    parts = [*path.resolve().parts[::-1], *path.absolute().parts[::-1]]
    return Hints(next((part for part in parts if part in PUBLISHED_FOLDERS), None), stated)


def with_multiplier(
    candidate: Candidate, given: Mapping[str, Any], hints: Hints
) -> tuple[Candidate, tuple[str, ...]]:
    """Return a candidate whose multiplier is said, and notes; other networks as they are.

    ``candidate`` holds what the checkpoint records, ``given`` the user's ``--model-arg``.

    Raises:
        CheckpointError: nothing says it; names the ways to.
        UsageError: two ways say different values.
    """
    asked = candidate.with_arguments(given)
    if ARGUMENT not in candidate.unrecorded:
        return asked, ()
    said = _said(candidate, given, hints)
    if len(set(said.values())) > 1:
        ways = ", ".join(f"{way} says {value}" for way, value in said.items())
        raise UsageError(
            f"the identity tensor multiplier is contradictory: {ways}; keep the true one (a file"
            " moved or renamed loses its folder's)"
        )
    if not said and hints.stated is None:
        raise _unsaid(asked)
    way, multiplier = next(iter(said.items()), (MULTIPLIER_OPTION, hints.stated))
    asked = dataclasses.replace(asked, arguments={**asked.arguments, ARGUMENT: str(multiplier)})
    return asked, (f"identity tensor multiplier {multiplier}, as {way} says",)


def _said(candidate: Candidate, given: Mapping[str, Any], hints: Hints) -> dict[str, Fraction]:
    said: dict[str, Fraction] = {}
    if ARGUMENT in given:
        said["--model-arg"] = parse_multiplier(given[ARGUMENT])
    if ARGUMENT in candidate.arguments:
        said["the checkpoint's model_args"] = _recorded(candidate.arguments[ARGUMENT])
    if hints.folder is not None:
        said[f"the folder {hints.folder}"] = PUBLISHED_FOLDERS[hints.folder]
    return said


def _recorded(value: object) -> Fraction:
    try:
        return parse_multiplier(value)
    except ValueError as error:
        raise CheckpointError(f"in the recorded model_args, {error}") from error


def _unsaid(candidate: Candidate) -> CheckpointError:
    values = "|".join(map(str, PUBLISHED))
    return CheckpointError(
        f"{candidate} fits, but its tensors are the same for every identity tensor multiplier, and"
        f" the wrong one is another function; say it with {MULTIPLIER_OPTION} {values} or"
        f" --model-arg {ARGUMENT}={PUBLISHED[1]}, or keep the file in its published folder"
        f" ({', '.join(PUBLISHED_FOLDERS)})"
    )
