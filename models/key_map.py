"""Checkpoints whose tensors are a known network's under other names.

A key map is data: rules for names, and a detector that tells from names and shapes alone which
network a file of this layout belongs to. Nothing here loads torch or builds a network; whoever does
compares every tensor strictly, so that a wrong map recognises nothing.
"""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from cnn_export.models import key_maps as layouts
from cnn_export.models.registry import Shapes


@dataclasses.dataclass(frozen=True)
class Rule:
    """A part of a name, as a regular expression, and what the network has in its place."""

    part: str
    network: str


@dataclasses.dataclass(frozen=True)
class Mapped:
    """A network that a file of the layout may be: its ``--model`` spelling, and arguments.

    ``also_called`` are other names of the same function, which the authors' files may record.
    """

    network: str
    arguments: Mapping[str, Any] = dataclasses.field(default_factory=dict[str, Any])
    also_called: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class KeyMap:
    """One layout of names.

    ``layout`` says whose it is, ``source`` where the names stand (owner/name@commit). All ``rules``
    are applied to each name, in their order; names that none fits are the network's own. ``detect``
    returns the networks that a file with these tensors may be, none for another layout's; it looks
    at one or two names first, because it sees every checkpoint.
    """

    layout: str
    source: str
    rules: tuple[Rule, ...]
    detect: Callable[[Shapes], Iterable[Mapped]]

    def renamed(self, names: Iterable[str]) -> dict[str, str] | None:
        """Return the network's name of each, or None where two tensors would have one."""
        renamed = {name: self._applied(name) for name in names}
        return renamed if len(set(renamed.values())) == len(renamed) else None

    def _applied(self, name: str) -> str:
        for rule in self.rules:
            name = re.sub(rule.part, rule.network, name)
        return name


def key_maps() -> tuple[KeyMap, ...]:
    """Return every key map of :mod:`cnn_export.models.key_maps`; each file of it has some."""
    files = sorted(file.name for file in pkgutil.iter_modules(layouts.__path__))
    modules = [importlib.import_module(f"{layouts.__name__}.{file}") for file in files]
    return tuple(each for module in modules for each in module.KEY_MAPS)
