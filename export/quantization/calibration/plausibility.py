"""Whether values look like what the network was trained on; said, never a reason to stop."""

from __future__ import annotations

from collections.abc import Mapping

from cnn_export.program.normalization import Normalization
from cnn_export.quantization.calibration.scan import ValueSpan

_SLACK = 0.02
"""Of the expected span: resampling with a sharpening filter overshoots."""

_COVERED_MIN = 0.5
"""A collection of images, however dull, covers more than half of what pixels can be."""

_WIDER_MAX = 2.0
"""Between two collections of the same kind of data."""

_WHITE = 255.0


def span_notes(
    spans: Mapping[str, ValueSpan], normalization: Normalization | None, *, pixels: bool
) -> tuple[str, ...]:
    """Return what is odd about the inputs' values, a sentence each.

    With a normalization known, images lie within ``(0 − mean) / std`` to ``(1 − mean) / std`` of
    all channels, raw pixels in 0 to 255; other spans mean data of another normalization, whose
    ranges fit nothing that the network will see.
    """
    expected = _expected(normalization, pixels=pixels)
    if expected is None:
        return ()
    notes = (_note(name, span, expected) for name, span in spans.items())
    return tuple(note for note in notes if note)


def spans_apart(
    calibration: Mapping[str, ValueSpan], evaluation: Mapping[str, ValueSpan]
) -> tuple[str, ...]:
    """Return which inputs take values in evaluation that calibration is far from, a sentence each.

    An image brighter than all others is no reason; data of another normalization is.
    """
    pairs = ((name, calibration[name], span) for name, span in evaluation.items())
    return tuple(
        f"{name!r} takes values from {judged.low:.4g} to {judged.high:.4g} in evaluation, from"
        f" {span.low:.4g} to {span.high:.4g} in calibration: are both of one normalization? What"
        " lies outside saturates"
        for name, span, judged in pairs
        if judged.width > _WIDER_MAX * span.width or span.width > _WIDER_MAX * judged.width
    )


def _expected(normalization: Normalization | None, *, pixels: bool) -> ValueSpan | None:
    if pixels:
        return ValueSpan(0.0, _WHITE)
    if normalization is None:
        return None
    pairs = list(zip(normalization.mean, normalization.std, strict=True))
    return ValueSpan(
        min((0 - mean) / std for mean, std in pairs), max((1 - mean) / std for mean, std in pairs)
    )


def _note(name: str, span: ValueSpan, expected: ValueSpan) -> str:
    width = expected.width
    outside = max(expected.low - span.low, span.high - expected.high)
    if outside > _SLACK * width:
        how = "outside"
    elif span.width < _COVERED_MIN * width:
        how = "in a small part of"
    else:
        return ""
    return (
        f"{name!r} takes values from {span.low:.4g} to {span.high:.4g}, {how} the"
        f" {expected.low:.4g} to {expected.high:.4g} of its normalization: is the data of another"
        " one? Its ranges would not fit, and activations saturate"
    )
