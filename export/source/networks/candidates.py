"""A network that could be built, and what is known about it."""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

from cnn_export.errors import CheckpointError, UsageError, nearest
from cnn_export.source.networks.building import build_empty
from cnn_export.source.recorded.recorded import described

_DECIMAL_COMMA = re.compile(r"(-?\d+),(\d+)")


@dataclasses.dataclass(frozen=True)
class Candidate:
    """A builder with arguments.

    ``label`` is its ``--model`` spelling. ``lean`` tells that it may be built without memory for
    weights; foreign callables may not, they could compute with them. ``inferred`` names
    arguments read off the tensors, ``aliases`` maps this project's argument names to the builder's,
    and ``refused`` arguments would bring other weights than the checkpoint's. ``recorded`` tells
    that the checkpoint's own ``model_args`` are among the arguments. ``unrecorded`` arguments
    change the function and no tensor; the builder's defaults must not decide them.
    ``also_called`` are names that its checkpoints may record besides the label, and
    ``otherwise_called`` those of its family with other arguments.
    """

    label: str
    build: Callable[..., object]
    arguments: Mapping[str, Any]
    input_size: tuple[int, int, int] | None = None
    normalization: str | None = None
    lean: bool = True
    inferred: frozenset[str] = frozenset()
    aliases: Mapping[str, str] = dataclasses.field(default_factory=dict[str, str])
    refused: tuple[str, ...] = ()
    recorded: bool = False
    unrecorded: tuple[str, ...] = ()
    also_called: tuple[str, ...] = ()
    otherwise_called: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.label}{described(self.arguments)}"

    def with_arguments(self, given: Mapping[str, Any]) -> Candidate:
        """Return the candidate with the user's arguments over its own.

        Raises:
            UsageError: an argument would bring other weights.
        """
        for name in self.refused:
            if name in given:
                raise UsageError(
                    f"--model-arg {name} is not taken: the weights come from the checkpoint;"
                    " drop it"
                )
        spelled = {self.aliases.get(key, key): value for key, value in given.items()}
        return dataclasses.replace(self, arguments={**self.arguments, **spelled})

    def with_recorded(self, recorded: Mapping[str, Any]) -> Candidate:
        """Return the candidate with the ``model_args`` of the checkpoint over its own.

        Raises:
            CheckpointError: an argument would bring other weights.
        """
        for name in self.refused:
            if name in recorded:
                raise CheckpointError(
                    f"the checkpoint records {name!r} in its model_args, but the weights come from"
                    f" its tensors; save it without, or give --model {self.label}"
                )
        return dataclasses.replace(self.with_arguments(recorded), recorded=bool(recorded))

    def construct(self, *, empty: bool) -> nn.Module:
        """Build the network, ``empty`` without memory for weights where that is safe.

        Raises:
            UsageError: the builder refuses its arguments or returns no network.
        """
        try:
            made: object = (
                build_empty(self.build, self.arguments)
                if empty and self.lean
                else self.build(**self.arguments)
            )
        except (Exception, SystemExit) as error:
            lines = str(error).strip().splitlines() or [""]
            unforeseen = f"{type(error).__name__}: {lines[0]}; check --model and --model-arg"
            why = self._misspelled() or unforeseen
            raise UsageError(f"{self} cannot be built: {why}") from error
        if not isinstance(made, nn.Module):
            raise UsageError(
                f"{self.label} returned a {type(made).__name__}, not a torch.nn.Module;"
                " name a callable that builds the network"
            )
        return made

    def _misspelled(self) -> str | None:
        """Return what is wrong with the spelling of an argument, if anything can be seen."""
        for name, value in self.arguments.items():
            if isinstance(value, str) and (comma := _DECIMAL_COMMA.fullmatch(value)):
                return f"{name}={value} is text: write {name}={comma[1]}.{comma[2]}"
        known = self._parameters()
        unknown = next((name for name in self.arguments if known and name not in known), None)
        if unknown is None:
            return None
        shown = {value: key for key, value in self.aliases.items()}
        return (
            f"it takes no argument {unknown!r}.{nearest(unknown, (shown.get(n, n) for n in known))}"
        )

    def _parameters(self) -> tuple[str, ...]:
        """Return the names the builder takes; none where it takes any, or does not tell."""
        try:
            parameters = inspect.signature(self.build).parameters.values()
        except (TypeError, ValueError):
            return ()
        if any(each.kind is each.VAR_KEYWORD for each in parameters):
            return ()
        return tuple(each.name for each in parameters)
