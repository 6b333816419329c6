"""What a manifest says of its file's accuracy, as text: judged when it was made, never here."""

from __future__ import annotations

from cnn_export.benchmarks.results.record_types import Accuracy, Artifact

REFERENCE = "fp32"
NOT_JUDGED = "not judged"


def accuracy_text(artifact: Artifact) -> str:
    """Return every figure that decided, with its interval; that none did, or that it is fp32's."""
    if artifact.accuracy:
        several = len({each.output for each in artifact.accuracy}) > 1
        return "; ".join(_figure(each, several=several) for each in artifact.accuracy)
    return REFERENCE if artifact.precision == "fp32" else NOT_JUDGED


def _figure(figure: Accuracy, *, several: bool) -> str:
    output = f"{figure.output}: " if several else ""
    if figure.low is None or figure.high is None:
        return f"{output}{figure.figure} {figure.value:.4g} of {figure.samples}"
    interval = f"{figure.low:.1%} to {figure.high:.1%}"
    return f"{output}{figure.figure} {figure.value:.1%} ({interval}) of {figure.samples}"
