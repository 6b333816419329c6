"""Feature maps of any classification network, at the strides a detector or segmenter asks for."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

import torch
from torch import nn

STRIDES = (4, 8, 16, 32)
"""Image pixels per feature pixel that networks of five reductions have."""
_POWERS = range(1, 8)
Side = Literal["input", "output"]


@dataclasses.dataclass(frozen=True)
class Tap:
    """The tensor at one stride: the first input or the output of a module, by its name."""

    stride: int
    module: str
    side: Side
    channels: int


class FeatureTaps(nn.Module):
    """A network that returns feature maps, one (N, channels, ⌈H/stride⌉, ⌈W/stride⌉) per tap.

    The weights stay the network's own, under ``network.``. What follows the last tap (a
    classifier) still runs here and is dropped when the graph is captured.
    """

    def __init__(self, network: nn.Module, taps: Sequence[Tap]) -> None:
        super().__init__()
        self.network = network
        self.taps = tuple(taps)

    def forward(self, image: torch.Tensor) -> list[torch.Tensor]:
        """Return the maps of ``image`` (N, C, H, W), finest first."""
        seen: dict[tuple[str, Side], torch.Tensor] = {}

        def keep(name: str, side: Side, tensor: torch.Tensor) -> None:
            seen.setdefault((name, side), tensor)

        wanted = {tap.module for tap in self.taps}
        _run_watched(self.network, image, wanted.__contains__, keep)
        return [seen[tap.module, tap.side] for tap in self.taps]


def feature_taps(
    network: nn.Module,
    strides: Sequence[int] = STRIDES,
    *,
    input_size: tuple[int, int] = (224, 224),
    in_channels: int = 3,
) -> FeatureTaps:
    """Return ``network`` with a tap on the last feature map at each of ``strides``.

    The map of a stride is what enters the block that reduces it further; that of the last stride
    is the last one there is. Blocks are found by running the network once on zeros of
    ``input_size`` (height, width, pixels), so any network will do whose reductions are modules.
    Where the network goes on to write into a map (an in-place ReLU), that is what it holds.

    Raises:
        ValueError: no map of a stride; lists the strides there are.
    """
    weight = next(network.parameters())
    image = torch.zeros(1, in_channels, *input_size, device=weight.device, dtype=weight.dtype)
    modes = [(module, module.training) for module in network.modules()]
    try:
        with torch.no_grad():
            events = _events(network.eval(), image, input_size)
    finally:
        for module, training in modes:  # one by one: batch norms may be frozen
            module.training = training
    found = {**_last_outputs(events), **_entrances(events)}
    absent = [stride for stride in strides if stride not in found]
    if absent:
        raise ValueError(
            f"{type(network).__name__} has no feature map of stride {absent[0]} at"
            f" {input_size[0]}x{input_size[1]}; it has {sorted(found)}"
        )
    return FeatureTaps(network, [found[stride] for stride in sorted(strides)])


@dataclasses.dataclass(frozen=True)
class _Event:
    """A feature map that entered or left a module, in order of time."""

    module: str
    side: Side
    stride: int
    channels: int

    @property
    def tap(self) -> Tap:
        return Tap(self.stride, self.module, self.side, self.channels)


def _events(network: nn.Module, image: torch.Tensor, input_size: tuple[int, int]) -> list[_Event]:
    events: list[_Event] = []

    def note(name: str, side: Side, tensor: torch.Tensor) -> None:
        stride = _stride(tuple(tensor.shape), input_size)
        if stride is not None:
            events.append(_Event(name, side, stride, tensor.shape[1]))

    _run_watched(network, image, bool, note)
    return events


def _last_outputs(events: Sequence[_Event]) -> dict[int, Tap]:
    return {event.stride: event.tap for event in events if event.side == "output"}


def _entrances(events: Sequence[_Event]) -> dict[int, Tap]:
    """Return, for each stride that a module reduces, what enters the block around that module.

    The block is the outermost module that reduces this stride and no other.
    """
    reduced: dict[str, set[int]] = defaultdict(set)
    inputs: dict[str, _Event] = {}
    for event in events:
        if event.side == "input":
            inputs.setdefault(event.module, event)
        elif (entered := inputs.get(event.module)) and entered.stride < event.stride:
            for name in _enclosing(event.module):
                reduced[name].add(entered.stride)
    entrances: dict[int, Tap] = {}
    for event in inputs.values():  # in order of time: the outer module comes first
        if reduced.get(event.module) == {event.stride}:
            entrances.setdefault(event.stride, event.tap)
    return entrances


def _enclosing(module: str) -> Iterator[str]:
    """Yield the names of the modules around this one, from the outermost, and its own."""
    parts = module.split(".")
    return (".".join(parts[: depth + 1]) for depth in range(len(parts)))


def _run_watched(
    network: nn.Module,
    image: torch.Tensor,
    watched: Callable[[str], bool],
    note: Callable[[str, Side, torch.Tensor], None],
) -> None:
    """Run the network and note the first input and the output of every watched module."""

    def before(name: str) -> Callable[[nn.Module, tuple[Any, ...]], None]:
        return lambda _, inputs: _note_tensors(name, "input", inputs[:1], note)

    def after(name: str) -> Callable[[nn.Module, tuple[Any, ...], Any], None]:
        return lambda _, _inputs, output: _note_tensors(name, "output", (output,), note)

    hooks = [
        hook
        for name, module in network.named_modules()
        if watched(name)
        for hook in (
            module.register_forward_pre_hook(before(name)),
            module.register_forward_hook(after(name)),
        )
    ]
    try:
        network(image)
    finally:
        for hook in hooks:
            hook.remove()


def _note_tensors(
    name: str,
    side: Side,
    values: Sequence[object],
    note: Callable[[str, Side, torch.Tensor], None],
) -> None:
    for value in values:
        if isinstance(value, torch.Tensor):
            note(name, side, value)


def _stride(shape: tuple[int, ...], input_size: tuple[int, int]) -> int | None:
    """Return the power of two that divides the image to this map (rounding up), if one does."""
    height, width = input_size
    if len(shape) != 4 or shape[2:] == (1, 1):
        return None
    if shape[2:] == input_size:
        return 1
    for power in _POWERS:
        stride = 2**power
        if shape[2:] == (-(-height // stride), -(-width // stride)):
            return stride
    return None
