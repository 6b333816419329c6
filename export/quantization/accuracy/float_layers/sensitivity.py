"""How much of int8's error each layer is behind, measured: the error that goes when it is float.

Layers are looked for by bisection: a group is kept float as a whole, and only where that helps are
its halves tried. The number of networks that are tried is fixed, not the time: the same samples
give the same order on any machine.
"""

from __future__ import annotations

import dataclasses
import heapq
import itertools
from collections.abc import Callable, Sequence

EVALUATIONS_MAX = 48
"""Networks that are built and run over the samples. One for each of MobileNetV2's 53 layers would
tell little more: most of them gain nothing and fall away in groups."""


@dataclasses.dataclass(frozen=True)
class LayerCost:
    """What a layer costs in float: multiply-accumulates per sample, and bytes of its weights more.

    ``float_bytes`` is what float weights take beyond int8 ones, three bytes an element.
    """

    name: str
    macs: int
    float_bytes: int


@dataclasses.dataclass(frozen=True)
class LayerSensitivity:
    """``gain``: how much the error falls when the layer is float and the rest stay int8.

    ``measured`` tells whether the layer was tried by itself; if not, it has an equal part of what
    its group gained.
    """

    layer: LayerCost
    gain: float
    measured: bool


@dataclasses.dataclass(frozen=True, order=True)
class _Group:
    """Layers that were kept float together; those that gained most come first."""

    rank: tuple[float, int]
    gain: float = dataclasses.field(compare=False)
    layers: tuple[LayerCost, ...] = dataclasses.field(compare=False)


def measure_sensitivity(
    error_with: Callable[[frozenset[str]], float],
    layers: Sequence[LayerCost],
    evaluations: int = EVALUATIONS_MAX,
) -> tuple[LayerSensitivity, ...]:
    """Return the layers, those whose float form helps most first.

    ``error_with`` returns the network's error with the named layers float, on samples that the
    final figures are not taken from (``output_error.py``). ``layers`` are in the graph's order,
    in which neighbours are alike.
    """
    error = error_with(frozenset())
    if not layers:
        return ()
    order = itertools.count()

    def tried(group: tuple[LayerCost, ...]) -> _Group:
        gain = error - error_with(frozenset(layer.name for layer in group))
        return _Group((-gain, next(order)), gain, group)

    waiting, found, left = [tried(tuple(layers))], list[LayerSensitivity](), evaluations - 2
    while waiting:
        group = heapq.heappop(waiting)
        halves = _halves(group.layers)
        if len(group.layers) == 1 or left < len(halves):
            found += _members(group)
            continue
        left -= len(halves)
        for half in halves:
            heapq.heappush(waiting, tried(half))
    return tuple(sorted(found, key=lambda each: -each.gain))


def _halves(layers: tuple[LayerCost, ...]) -> tuple[tuple[LayerCost, ...], ...]:
    middle = len(layers) // 2
    return layers[:middle], layers[middle:]


def _members(group: _Group) -> list[LayerSensitivity]:
    alone = len(group.layers) == 1
    return [
        LayerSensitivity(layer, group.gain / len(group.layers), alone) for layer in group.layers
    ]
