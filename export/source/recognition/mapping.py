"""Checkpoints whose tensors are a known network's under other names, renamed to be compared."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from cnn_export.errors import TargetUnavailable, UsageError
from cnn_export.models.key_map import KeyMap, Mapped, key_maps
from cnn_export.source.contents.matching import Mismatch, compare, shapes_of
from cnn_export.source.networks.candidates import Candidate
from cnn_export.source.networks.model_names import parse_source
from cnn_export.source.weight_sets.spellings import Spelling


@dataclasses.dataclass(frozen=True)
class Reading:
    """A spelling under the names of a network; ``arguments`` are its builder's."""

    spelling: Spelling
    layout: str
    network: str
    arguments: Mapping[str, Any]
    also_called: tuple[str, ...] = ()

    def candidate(self) -> Candidate:
        """Return the network, with the arguments that tensors and layout show.

        Raises:
            TargetUnavailable: it is timm's, which is not installed; gives the install line.
        """
        try:
            source = parse_source(self.network)
        except TargetUnavailable as error:
            raise TargetUnavailable(
                f"the tensor names are {self.layout}'s, and belong to {self.network}: {error}"
            ) from error
        inferred = source.resolve(shapes_of(self.spelling.tensors))
        return dataclasses.replace(
            inferred,
            arguments={**inferred.arguments, **self.arguments},
            inferred=inferred.inferred | self.arguments.keys(),
            also_called=(*inferred.also_called, *self.also_called),
        )


Compared = tuple[Candidate, Mismatch, Reading]


def readings(spelling: Spelling) -> Iterator[Reading]:
    """Yield what the tensors may be by a key map, under that network's names."""
    shapes = shapes_of(spelling.tensors)
    for key_map in key_maps():
        for mapped in key_map.detect(shapes):
            renamed = _renamed(spelling, key_map, mapped)
            if renamed is not None:
                yield Reading(
                    *(renamed, key_map.layout, mapped.network),
                    *(mapped.arguments, mapped.also_called),
                )


def mapped(spelling: Spelling) -> list[Compared]:
    """Return every network that a key map says the tensors may be, with what differs.

    Raises:
        TargetUnavailable: as :meth:`Reading.candidate`.
    """
    compared: list[Compared] = []
    for reading in readings(spelling):
        candidate = reading.candidate()
        try:
            module = candidate.construct(empty=True)
        except UsageError:  # arguments read off foreign tensors need not make a network
            continue
        mismatch = compare(shapes_of(reading.spelling.tensors), module)
        compared.append((candidate, mismatch, reading))
    return compared


def _renamed(spelling: Spelling, key_map: KeyMap, mapped: Mapped) -> Spelling | None:
    renamed = key_map.renamed(spelling.tensors)
    if renamed is None:
        return None
    tensors = {renamed[name]: tensor for name, tensor in spelling.tensors.items()}
    label = mapped.network.removeprefix("torchvision:")
    note = f"names as in {key_map.layout}, mapped to {label}"
    return dataclasses.replace(
        spelling, tensors=tensors, notes=(*spelling.notes, note), layout=key_map.layout
    )
