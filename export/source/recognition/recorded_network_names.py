"""The names of networks that a checkpoint records, and what this package and others call so."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from cnn_export.command_line.packages import install_line
from cnn_export.errors import CheckpointError
from cnn_export.source.networks.candidates import Candidate
from cnn_export.source.networks.catalog import known_models
from cnn_export.source.networks.model_names import Source, named_source, parse_source, timm_source
from cnn_export.source.networks.timm_models import is_installed, known_name
from cnn_export.source.networks.torchvision_models import torchvision_classifiers
from cnn_export.source.recorded.recorded import recorded_names

NAMES_MAX = 16


def believable_names(metadata: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the recorded names.

    Raises:
        CheckpointError: more than any training loop records.
    """
    names = recorded_names(metadata)
    if len(names) > NAMES_MAX:
        raise CheckpointError(
            f"the checkpoint records {len(names)} names of networks; choose one with --model"
        )
    return names


def unknown_name(name: str, candidate: Candidate) -> str:
    """Return the note on a name that no library knows; without timm, refuse what may be its."""
    if is_installed():
        return f"the checkpoint calls itself {name!r}, which no library here knows"
    label, called = _normal(candidate.label), _normal(name)
    stem = re.match(r"[a-z]*", label)
    if stem and stem[0] in called and not label.startswith(called):
        raise CheckpointError(
            f"the checkpoint calls itself {name!r}, which timm may know and which may be another"
            f" network with the tensors of {candidate.label}; {install_line(['timm'])}, or say what"
            f" it is with --model {candidate.label}"
        )
    return f"the checkpoint calls itself {name!r}, which is unknown here (timm is not installed)"


def library_network(name: str) -> Source | None:
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


def is_called(candidate: Candidate, name: str) -> bool:
    """Whether the candidate has that name, whatever owner, package or tag stands around it."""
    return is_labelled(candidate, name) or _among(candidate.also_called, name)


def is_labelled(candidate: Candidate, name: str) -> bool:
    """Whether that name is the one this project and the network's library give the candidate."""
    return _among([candidate.label.removeprefix("timm:")], name)


def is_otherwise_called(candidate: Candidate, name: str) -> bool:
    """Whether that name is one of the candidate's family with other arguments than its own."""
    return _among(candidate.otherwise_called, name)


def _among(called: Iterable[str], name: str) -> bool:
    own = {_normal(each) for each in called}
    return any(_normal(spelled) in own for spelled in _spelled(name))


def _spelled(name: str) -> list[str]:
    """Return the name, and what it is without an owner, package or tag around it."""
    inner = re.split(r"[/:]", name)[-1]
    return [name, inner, inner.split(".")[0], inner.split(".")[-1]]


def _normal(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
