"""Which known network a checkpoint belongs to, from tensor names and shapes alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from cnn_export.errors import TargetUnavailable, UsageError
from cnn_export.models.registry import Architecture, Shapes, architectures
from cnn_export.source.contents.matching import Mismatch, compare
from cnn_export.source.networks.candidates import Candidate
from cnn_export.source.networks.fingerprint_index import networks_with
from cnn_export.source.networks.timm_models import is_known, timm_candidate
from cnn_export.source.networks.torchvision_families import FAMILIES, Family
from cnn_export.source.networks.torchvision_models import family_candidates, fitting_candidates

_LIKENESS = 0.3
"""Share of a network's tensors that must agree before it is called alike."""

Compared = tuple[Candidate, Mismatch]


def matches(shapes: Shapes) -> tuple[Candidate, ...]:
    """Return every network of this package and torchvision whose tensors all match."""
    fitting, _ = _registered_candidates(shapes)
    compared = _compared(shapes, ([candidate] for candidate in fitting))
    for family in _marked(shapes):
        compared += _compared(shapes, fitting_candidates(family, shapes))
    return tuple(candidate for candidate, mismatch in compared if not mismatch)


def indexed_matches(shapes: Shapes) -> tuple[Candidate, ...]:
    """Return every timm network whose tensors all match.

    Raises:
        TargetUnavailable: there are such, and timm is not installed.
    """
    names = networks_with("timm", shapes)
    try:
        compared = _compared(shapes, ([timm_candidate(each, shapes)] for each in _known(names)))
    except TargetUnavailable as error:
        raise TargetUnavailable(f"the tensors are those of {_either(names)}: {error}") from error
    return tuple(candidate for candidate, mismatch in compared if not mismatch)


def nearest(shapes: Shapes, renamed: Sequence[Compared] = ()) -> Compared | None:
    """Return the network most alike and its differences, where one is alike at all.

    ``renamed`` are networks that a key map compares with the same tensors.
    """
    families = _marked(shapes)
    fitting, others = _registered_candidates(shapes)
    compared = _compared(shapes, ([candidate] for candidate in (*fitting, *others)))
    for family in families:
        compared += _compared(shapes, family_candidates(family, shapes))
    if not families and not renamed:
        compared += _alike(shapes)
    return _nearest([*compared, *renamed])


def registered_candidate(architecture: Architecture, shapes: Shapes) -> Candidate:
    """Return a family of this package with the arguments its detector finds, or its defaults."""
    arguments = architecture.detect(shapes) or {}
    agreeing = {n for n, meant in architecture.called.items() if _agrees(arguments, meant)}
    return Candidate(
        label=architecture.name,
        build=architecture.build,
        arguments=arguments,
        input_size=architecture.size_of(arguments),
        normalization="imagenet" if arguments.get("classes") == 1000 else None,
        inferred=frozenset(arguments),
        unrecorded=architecture.unrecorded,
        also_called=tuple(sorted(agreeing)),
        otherwise_called=tuple(sorted(architecture.called.keys() - agreeing)),
    )


def _agrees(arguments: Mapping[str, Any], meant: Mapping[str, Any]) -> bool:
    """Whether the tensors show no other value of an argument; some they do not show."""
    return all(arguments.get(key, value) == value for key, value in meant.items())


def _registered_candidates(shapes: Shapes) -> tuple[list[Candidate], list[Candidate]]:
    """Return the families whose detector finds its arguments, and the others."""
    candidates = [registered_candidate(a, shapes) for a in architectures().values()]
    fitting = [each for each in candidates if each.inferred]
    return fitting, [each for each in candidates if not each.inferred]


def _known(names: Sequence[str]) -> list[str]:
    """Leave out what another version of timm than the index's does not have."""
    return [name for name in names if is_known(name)]


def _either(names: Sequence[str]) -> str:
    return " or ".join(f"timm:{name}" for name in names)


def _marked(shapes: Shapes) -> list[Family]:
    return [family for family in FAMILIES if family.marker in shapes]


def _compared(shapes: Shapes, networks: Iterable[list[Candidate]]) -> list[Compared]:
    """Compare every network in its best spelling."""
    best = (_best(shapes, spellings) for spellings in networks)
    return [compared for compared in best if compared]


def _best(shapes: Shapes, spellings: list[Candidate]) -> Compared | None:
    compared: list[Compared] = []
    for candidate in spellings:
        try:
            compared.append((candidate, compare(shapes, candidate.construct(empty=True))))
        except UsageError:
            # Arguments read off foreign tensors need not make a network; then it is not this one.
            continue
        if not compared[-1][1]:
            break
    return min(compared, key=lambda pair: pair[1].problems, default=None)


def _alike(shapes: Shapes) -> list[Compared]:
    """Look for a damaged checkpoint of a family: its marker is gone, other names are not."""
    leads = [
        (family, lead)
        for family in FAMILIES
        for lead in _compared(shapes, [next(family_candidates(family, shapes))])
    ]
    family, lead = max(leads, key=lambda pair: pair[1][1].agreeing)
    return _compared(shapes, family_candidates(family, shapes)) if lead[1].agreeing else []


def _nearest(compared: list[Compared]) -> Compared | None:
    alike = [pair for pair in compared if pair[1].agreeing >= _LIKENESS * pair[1].expected]
    return max(alike, key=lambda pair: (pair[1].agreeing, -pair[1].problems), default=None)
