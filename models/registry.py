"""Model families by name, each with a detector that recognises its checkpoints.

A family registers its builder; a duplicate name is an error. Detectors see only tensor names and
shapes, so recognising a checkpoint never builds or runs anything.
"""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from cnn_export.models import families
from cnn_export.models.published import Published

if TYPE_CHECKING:  # tables read this file's types, and are read without torch
    from torch import nn

Arguments = ParamSpec("Arguments")
Model = TypeVar("Model", bound="nn.Module")

Shapes = Mapping[str, tuple[int, ...]]
"""Tensor names of a checkpoint with their shapes."""

Size = tuple[int, int, int]
"""Channels, height and width."""

Detector = Callable[[Shapes], dict[str, Any] | None]
"""Returns the builder's arguments when the shapes belong to the family, else None."""


@dataclasses.dataclass(frozen=True)
class Architecture:
    """One buildable network family.

    ``input_size`` is (channels, height, width) of the published input, and ``small_input`` another
    one for networks with an argument of that name that is true. ``unrecorded`` names the
    builder's arguments that change the function and no tensor: whoever loads must say them.
    ``published`` are the variants that papers and repositories give figures for.
    ``former_names`` were the builder's own; files that record them are still read.
    ``also_called`` is what the authors' training code records, whatever else is called so, with the
    arguments of the network that it means. ``authors_sides`` are the smallest and largest side in
    pixels at which the authors' code computes the same: theirs averages a window of a fixed size,
    ours the whole map.
    """

    name: str
    build: Callable[..., nn.Module]
    input_size: Size
    source: str
    detect: Detector
    unrecorded: tuple[str, ...] = ()
    published: tuple[Published, ...] = ()
    former_names: tuple[str, ...] = ()
    also_called: Mapping[str, Mapping[str, Any]] = dataclasses.field(
        default_factory=dict[str, Mapping[str, Any]]
    )
    authors_sides: tuple[int, int] | None = None
    small_input: tuple[str, Size] | None = None

    def size_of(self, arguments: Mapping[str, Any]) -> Size:
        """Return the published input of the network with these arguments."""
        if self.small_input and arguments.get(self.small_input[0]):
            return self.small_input[1]
        return self.input_size

    @property
    def called(self) -> dict[str, Mapping[str, Any]]:
        """What files may call it besides ``name``, each with the arguments that are meant."""
        rows = {row.name: row.arguments for row in self.published}
        return {**rows, **{old: {} for old in self.former_names}, **self.also_called}


_architectures: dict[str, Architecture] = {}


def register_model(
    *,
    source: str,
    detect: Detector,
    input_size: Size = (3, 224, 224),
    unrecorded: tuple[str, ...] = (),
    published: tuple[Published, ...] = (),
    former_names: tuple[str, ...] = (),
    also_called: Mapping[str, Mapping[str, Any]] | None = None,
    authors_sides: tuple[int, int] | None = None,
    small_input: tuple[str, Size] | None = None,
) -> Callable[[Callable[Arguments, Model]], Callable[Arguments, Model]]:
    """Register the decorated builder under its own function name.

    ``source`` cites the paper or package; the others are as in :class:`Architecture`.

    Raises:
        ValueError: the name is already taken.
    """

    def register(build: Callable[Arguments, Model]) -> Callable[Arguments, Model]:
        name = build.__name__
        if name in _architectures:
            raise ValueError(f"the model name {name!r} is already registered")
        _architectures[name] = Architecture(
            *(name, build, input_size, source, detect, unrecorded, published),
            *(former_names, also_called or {}, authors_sides, small_input),
        )
        return build

    return register


def architectures() -> dict[str, Architecture]:
    """Return every registered family of this package by name; every file of it is one."""
    for family in pkgutil.iter_modules(families.__path__):
        importlib.import_module(f"{families.__name__}.{family.name}")
    return dict(sorted(_architectures.items()))  # whatever was imported first
