"""One of several networks that the same tensors fit, by what is said beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cnn_export.errors import CheckpointError
from cnn_export.source.networks.candidates import Candidate
from cnn_export.source.recorded.recorded_arguments import recorded_arguments

_SHOWN = 6


def only_one(
    found: Sequence[Candidate], metadata: Mapping[str, Any], given: Mapping[str, Any]
) -> Candidate:
    """Return the one match left after what the user and the checkpoint say about it.

    Raises:
        CheckpointError: several are left; names them and the option that chooses.
    """
    left = [c for c in found if _agrees(c, {**recorded_arguments(metadata), **given})]
    left = left or list(found)
    if len(left) == 1:
        return left[0]
    differing = _differing(left)
    choices = [f"--model {c.label}{_options(c, differing)}" for c in left[:_SHOWN]]
    more = f" or {len(left) - _SHOWN} more" if len(left) > _SHOWN else ""
    raise CheckpointError(
        f"{len(left)} networks of different function have these tensors; choose with"
        f" {' or '.join(choices)}{more}"
    )


def _agrees(candidate: Candidate, said: Mapping[str, Any]) -> bool:
    return all(candidate.arguments.get(key, value) == value for key, value in said.items())


def _differing(candidates: Sequence[Candidate]) -> set[str]:
    keys = {key for candidate in candidates for key in candidate.arguments}
    return {k for k in keys if len({repr(c.arguments.get(k)) for c in candidates}) > 1}


def _options(candidate: Candidate, keys: set[str]) -> str:
    chosen = ((k, v) for k, v in candidate.arguments.items() if k in keys)
    return "".join(f" --model-arg {key}={str(value).lower()}" for key, value in chosen)
