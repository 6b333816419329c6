"""Whether figures meet their bounds: a value per figure, in words a person can act on."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable

from cnn_export.quantization.accuracy.bounds import FIGURES, REASONS, Bounds, Figure
from cnn_export.quantization.accuracy.figures import OutputFigures
from cnn_export.quantization.accuracy.share import Share

_SATURATED_MIN = 0.01
"""Ranges cut off single values on purpose, never one in a hundred."""

_ONE_MAY_DIFFER = 20
"""From so many samples on a single one that differs is within a bound, as of true classes."""


@dataclasses.dataclass(frozen=True)
class Verdict:
    """One figure of one output against its bound.

    ``value`` is the estimate that is judged, ``text`` says it with its interval, ``certain``
    whether the whole interval is on the same side: if not, other samples may judge otherwise.
    """

    output: str
    figure: Figure
    value: float
    bound: float
    met: bool
    certain: bool
    text: str

    @property
    def reason(self) -> str:
        """Why this figure is asked for."""
        return REASONS[self.figure]


def judge(figures: Iterable[OutputFigures], bounds: Bounds | None = None) -> tuple[Verdict, ...]:
    """Return a verdict for each figure that judges an output of its kind.

    NaN, in figures of broken int8 outputs, meets nothing.
    """
    limits = bounds or Bounds()
    return tuple(
        _with_saturation(verdict, each.saturated)
        for each in figures
        for figure in _figures_of(each)
        if (verdict := _verdict(each, figure, limits)) is not None
    )


def _figures_of(figures: OutputFigures) -> tuple[Figure, ...]:
    """Return what judges an output: classes of which fp32 is never sure, by their scores as well.

    An answer that hardly depends on the input agrees with any other one of that kind.
    """
    asked = FIGURES[figures.kind]
    unsure = figures.kind in ("logits", "probabilities") and figures.agreement_sure is None
    return (*asked, "variance explained") if unsure else asked


def _with_saturation(verdict: Verdict, saturated: float | None) -> Verdict:
    """Say of a missed bound that the values are not those that calibration has seen."""
    if verdict.met or saturated is None or saturated < _SATURATED_MIN:
        return verdict
    said = f"{verdict.text} ({saturated:.1%} of its values saturate: is calibration like them?)"
    return dataclasses.replace(verdict, text=said)


def _verdict(figures: OutputFigures, figure: Figure, bounds: Bounds) -> Verdict | None:
    match figure:
        case "agreement where fp32 is sure":
            return _of_share(figures, figure, figures.agreement_sure, bounds.agreement_sure)
        case "agreement":
            return _of_share(figures, figure, figures.agreement, bounds.agreement)
        case "accuracy lost":
            return _of_classes(figures, bounds.accuracy_loss)
        case "cosine":
            bound = bounds.map_cosine if figures.kind == "map" else bounds.embedding_cosine
            return _of_number(figures, figure, figures.cosine, bound)
        case "variance explained":
            # fp32 that never varies: its one value is all there is to keep.
            exact = 1.0 if figures.snr_db == math.inf else -math.inf
            value = exact if figures.explained is None else figures.explained
            return _of_number(figures, figure, value, bounds.explained)


def _of_share(
    figures: OutputFigures, figure: Figure, share: Share | None, bound: float
) -> Verdict | None:
    if share is None:
        return None
    low, high = share.interval
    # One near tie is no verdict on few samples; on very few nothing is.
    one_may_differ = share.total >= _ONE_MAY_DIFFER and share.total - share.count <= 1
    met = share.value >= bound or one_may_differ
    certain = low >= bound if met else high < bound
    text = _text(figures.name, figure, f"{share}, at least {bound:.1%} is due", met)
    return Verdict(figures.name, figure, share.value, bound, met, certain, text)


def _of_classes(figures: OutputFigures, bound: float) -> Verdict | None:
    classes = figures.true_classes
    if classes is None:
        return None
    allowed = max(bound * classes.fp32.total, 1)
    met = classes.lost - classes.gained <= allowed
    said = (
        f"{classes.loss:.1%} ({classes.fp32.value:.1%} to {classes.int8.value:.1%} of"
        f" {classes.fp32.total}), at most {max(bound, 1 / classes.fp32.total):.1%} is due"
    )
    text = _text(figures.name, "accuracy lost", said, met)
    # Changes one way or the other are a fair coin's if int8 costs nothing: two standard deviations.
    spread = 2 * math.sqrt(classes.lost + classes.gained)
    distance = abs(classes.lost - classes.gained - allowed)
    return Verdict(figures.name, "accuracy lost", classes.loss, bound, met, distance > spread, text)


def _of_number(figures: OutputFigures, figure: Figure, value: float, bound: float) -> Verdict:
    met = value >= bound
    text = _text(figures.name, figure, f"{value:.4f}, at least {bound:.4f} is due", met)
    return Verdict(figures.name, figure, value, bound, met, True, text)


def _text(output: str, figure: Figure, said: str, met: bool) -> str:
    return f"{output!r}: {figure} {'' if met else 'only ' * (figure != 'accuracy lost')}{said}"
