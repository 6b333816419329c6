"""The cheapest layers to keep in float so that accuracy holds: ``--keep-float auto``.

By gain per cost, and then tried: gains of single layers do not add up, so what is chosen is judged
as a whole, and layers that turn out not to be needed are given back.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

from cnn_export.quantization.accuracy.float_layers.sensitivity import LayerSensitivity

Meets = Callable[[frozenset[str]], bool]
"""Whether the network with these layers in float meets the accuracy bound."""

_GIVEN_BACK_MAX = 8
"""Layers, dearest first, that are tried without: each is another network over all samples."""


@dataclasses.dataclass(frozen=True)
class KeptFloat:
    """What was chosen: the layers, in the graph's order of sensitivity, and their cost.

    Shares are of all the layers' multiply-accumulates and weights. ``tried`` counts the networks.
    """

    names: tuple[str, ...]
    macs_share: float
    bytes_share: float
    tried: int


def choose_float(sensitivity: Sequence[LayerSensitivity], meets: Meets) -> KeptFloat | None:
    """Return the cheapest set that is found to meet the bound; None if all layers do not.

    The sets that are tried grow by gain per cost, doubling until one meets the bound, then halving
    the step; ``meets`` is asked some 2·log2(layers) times, and again for each layer given back.
    """
    ranked = [each.layer.name for each in _by_gain_per_cost(sensitivity)]
    answers: dict[frozenset[str], bool] = {}

    def holds(names: frozenset[str]) -> bool:
        if names not in answers:
            answers[names] = meets(names)
        return answers[names]

    count = _smallest_prefix(ranked, holds)
    if count is None:
        return None
    chosen = _without_needless(sensitivity, frozenset(ranked[:count]), holds)
    return _described(sensitivity, chosen, len(answers))


def relative_cost(each: LayerSensitivity, everything: Sequence[LayerSensitivity]) -> float:
    """Return a layer's share of multiply-accumulates plus its share of weights, and an island's.

    Every float layer among int8 ones also costs two conversions, whatever its size: as much as the
    mean layer's share is counted for them.
    """
    macs, size = _totals(everything)
    return each.layer.macs / macs + each.layer.float_bytes / size + 1 / len(everything)


def _totals(everything: Sequence[LayerSensitivity]) -> tuple[int, int]:
    macs = sum(each.layer.macs for each in everything)
    return max(macs, 1), max(sum(each.layer.float_bytes for each in everything), 1)


def _by_gain_per_cost(sensitivity: Sequence[LayerSensitivity]) -> list[LayerSensitivity]:
    return sorted(sensitivity, key=lambda each: -each.gain / relative_cost(each, sensitivity))


def _smallest_prefix(ranked: Sequence[str], holds: Meets) -> int | None:
    """Return how many of the first layers are needed, as if more never did harm."""
    failed, high = -1, 0
    while not holds(frozenset(ranked[:high])):
        if high >= len(ranked):
            return None
        failed, high = high, min(max(1, 2 * high), len(ranked))
    while high - failed > 1:
        middle = (failed + high) // 2
        if holds(frozenset(ranked[:middle])):
            high = middle
        else:
            failed = middle
    return high


def _without_needless(
    sensitivity: Sequence[LayerSensitivity], chosen: frozenset[str], holds: Meets
) -> frozenset[str]:
    dearest = sorted(
        (each for each in sensitivity if each.layer.name in chosen),
        key=lambda each: -relative_cost(each, sensitivity),
    )
    for each in dearest[:_GIVEN_BACK_MAX]:
        if holds(fewer := chosen - {each.layer.name}):
            chosen = fewer
    return chosen


def _described(
    sensitivity: Sequence[LayerSensitivity], chosen: frozenset[str], tried: int
) -> KeptFloat:
    kept = [each.layer for each in sensitivity if each.layer.name in chosen]
    macs, size = _totals(sensitivity)
    return KeptFloat(
        tuple(layer.name for layer in kept),
        sum(layer.macs for layer in kept) / macs,
        sum(layer.float_bytes for layer in kept) / size,
        tried,
    )
