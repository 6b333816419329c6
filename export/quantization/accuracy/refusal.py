"""What is said when int8 is not good enough: the figures, the layers behind it, and the way out."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from cnn_export.errors import AccuracyRefused
from cnn_export.quantization.accuracy.calibrated_twice import CalibratedTwice
from cnn_export.quantization.accuracy.float_layers.sensitivity import LayerSensitivity
from cnn_export.quantization.accuracy.verdict import Verdict

_NAMED = 3
_MORE_SAMPLES = "; give more calibration samples, or --keep-float auto"


def require_accuracy(
    verdicts: Sequence[Verdict],
    sensitivity: Sequence[LayerSensitivity] = (),
    what: str = "int8",
    way: str = "",
) -> None:
    """Pass if every figure meets its bound.

    ``what`` names the network that was judged, ``way`` what to do where no layer is to blame.

    Raises:
        AccuracyRefused: else; names the figures, the worst layers, what float costs for each, and
            the options that keep them.
    """
    missed = [verdict.text for verdict in verdicts if not verdict.met]
    if missed:
        way_out = _way(sensitivity, way or _MORE_SAMPLES)
        raise AccuracyRefused(f"{what} is not accurate enough: {'; '.join(missed)}{way_out}")


def require_same_twice(twice: CalibratedTwice) -> None:
    """Pass if two halves of the samples lead to the same network.

    Raises:
        AccuracyRefused: else; names the figures and the tensors whose scales moved most.
    """
    if not twice.agree:
        raise AccuracyRefused(
            f"calibrated on two halves of the samples, int8 answers differently: {twice}; give more"
            " samples, of everything that the network will see"
        )


def keep_options(names: Sequence[str]) -> str:
    """Return the options that keep layers in float, as a shell takes them."""
    return " ".join(f"--keep-float {shlex.quote(name)}" for name in names)


def _way(sensitivity: Sequence[LayerSensitivity], otherwise: str) -> str:
    worst = [each for each in sensitivity if each.gain > 0][:_NAMED]
    if not worst:
        return otherwise
    macs = max(sum(each.layer.macs for each in sensitivity), 1)
    named = ", ".join(
        f"{each.layer.name} (in float {each.layer.macs / macs:.1%} of the multiply-accumulates and"
        f" {each.layer.float_bytes:,} bytes more)"
        for each in worst
    )
    options = keep_options([each.layer.name for each in worst])
    return f"; most of the error comes from {named}; keep them with {options}, or --keep-float auto"
