"""What a manifest says of its file's accuracy, as text: judged when it was made, never here.

Every figure compares a file with its own network in float32. It is told as what another file's
float32 came to only where both were made from one checkpoint.
"""

from __future__ import annotations

from collections.abc import Mapping

from cnn_export.benchmarks.results.record_types import Accuracy, Artifact
from cnn_export.benchmarks.tables.quantities import UNKNOWN
from cnn_export.manifest.quantization_fields import (
    ACCURACY_LOST,
    ACCURACY_OF_ARTIFACT,
    ACCURACY_OF_FP32,
    EARLIER_ACCURACY_OF_ARTIFACT,
)

REFERENCE = "fp32"
APPROXIMATED = "fp32 of an approximation, not of its checkpoint"
NOT_JUDGED = "not judged"
_EARLIER = {EARLIER_ACCURACY_OF_ARTIFACT: ACCURACY_OF_ARTIFACT}
_OWN = ", of its own fp32"


def accuracy_change(base: Artifact, new: Artifact) -> str:
    """Return what ``new`` lost of ``base``, or what each keeps of its own float32.

    The latter unless ``base`` is known to be that float32; once where both say the same.
    """
    if base.is_reference_of(new):
        figures = "; ".join(filter(None, [_figures(new), new.acceptance]))
        said = (REFERENCE, figures if new.accuracy else accuracy_text(new))
    else:
        said = (accuracy_text(base), accuracy_text(new))
        judged = tuple(text for text in said if text != REFERENCE)
        said = judged or said
    return " → ".join(dict.fromkeys(said))


def accuracy_text(artifact: Artifact) -> str:
    """Return every figure that decided, with its interval; that none did, or that it is fp32's.

    Results of before figures were kept tell neither: of those nothing is known. That a file is not
    proven is always said.
    """
    return "; ".join(filter(None, [_judged(artifact), artifact.acceptance]))


def _judged(artifact: Artifact) -> str:
    if artifact.accuracy:
        return _figures(artifact) + _OWN
    if artifact.precision != REFERENCE:
        return UNKNOWN if artifact.accuracy is None else NOT_JUDGED
    if artifact.source is None:
        return UNKNOWN
    return APPROXIMATED if artifact.source.approximated else REFERENCE


def _figures(artifact: Artifact) -> str:
    figures = artifact.accuracy or ()
    several = len({each.output for each in figures}) > 1
    shares = {(each.output, _EARLIER.get(each.figure, each.figure)): each for each in figures}
    return "; ".join(
        _figure(each, shares, several=several) for each in figures if each.bound is not None
    )


def _figure(figure: Accuracy, shares: Mapping[tuple[str, str], Accuracy], *, several: bool) -> str:
    output = f"{figure.output}: " if several else ""
    left = shares.get((figure.output, ACCURACY_OF_ARTIFACT))
    had = shares.get((figure.output, ACCURACY_OF_FP32))
    if figure.figure == ACCURACY_LOST and left is not None and had is not None:
        return f"{output}accuracy {left.value:.1%} of fp32's {had.value:.1%}, of {figure.samples}"
    if figure.low is None or figure.high is None:
        return f"{output}{figure.figure} {figure.value:.4g} of {figure.samples}"
    interval = f"{figure.low:.1%} to {figure.high:.1%}"
    return f"{output}{figure.figure} {figure.value:.1%} ({interval}) of {figure.samples}"
