"""One number for how far answers are from fp32's: smooth, so that single layers show in it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from cnn_export.program.tensors import Array, Tensors
from cnn_export.quantization.accuracy.output_kind import OutputKind, output_kind

_SMALLEST = 1e-12


def output_error(
    pairs: Iterable[tuple[Tensors, Tensors]], kinds: Mapping[str, OutputKind] | None = None
) -> float:
    """Return the mean error of (fp32, int8) outputs, summed over outputs; 0 is equal.

    Class scores are compared by the divergence Σ p·ln(p/q) of their softmax (Kullback and Leibler
    1951), in nats: agreement moves in steps of a sample, and the SNR does not rank accuracy.
    Other outputs by their squared difference over their squared length.

    Raises:
        ValueError: no pairs.
    """
    total, count = 0.0, 0
    chosen: dict[str, OutputKind] = dict(kinds or {})
    for expected, got in pairs:
        for name, value in expected.items():
            kind = chosen.setdefault(name, output_kind(value))
            total += float(_errors(kind, value, got[name]).sum())
        count += len(next(iter(expected.values())))
    if not count:
        raise ValueError("no samples")
    return total / count


def _errors(kind: OutputKind, fp32: Array, int8: Array) -> Array:
    """Return one error per sample."""
    expected, got = (each.reshape(len(each), -1).astype(np.float64) for each in (fp32, int8))
    if kind == "logits":
        p, q = _log_softmax(expected), _log_softmax(got)
        return (np.exp(p) * (p - q)).sum(1)
    if kind == "probabilities":
        p, q = (np.maximum(each, _SMALLEST) for each in (expected, got))
        return (p * np.log(p / q)).sum(1)
    return ((expected - got) ** 2).sum(1) / np.maximum((expected**2).sum(1), _SMALLEST)


def _log_softmax(scores: Array) -> Array:
    shifted = scores - scores.max(1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
