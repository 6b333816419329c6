"""What a manifest says of its file's accuracy, as text: judged when it was made, never here.

Every figure compares a file with its own network in float32. It is told as what another file's
float32 came to only where both were made from one checkpoint.
"""

from __future__ import annotations

from cnn_export.benchmarks.results.record_types import Accuracy, Artifact
from cnn_export.benchmarks.tables.quantities import UNKNOWN

REFERENCE = "fp32"
APPROXIMATED = "fp32 of an approximation, not of its checkpoint"
NOT_JUDGED = "not judged"
_OWN = ", of its own fp32"


def accuracy_change(base: Artifact, new: Artifact) -> str:
    """Return what ``new`` lost of ``base``, or what each keeps of its own float32.

    The latter unless ``base`` is known to be that float32; once where both say the same.
    """
    if base.is_reference_of(new):
        said = (REFERENCE, _figures(new) if new.accuracy else accuracy_text(new))
    else:
        said = (accuracy_text(base), accuracy_text(new))
        judged = tuple(text for text in said if text != REFERENCE)
        said = judged or said
    return " → ".join(dict.fromkeys(said))


def accuracy_text(artifact: Artifact) -> str:
    """Return every figure that decided, with its interval; that none did, or that it is fp32's.

    Results of before figures were kept tell neither: of those nothing is known.
    """
    if artifact.accuracy:
        return _figures(artifact) + _OWN
    if artifact.precision != REFERENCE:
        return UNKNOWN if artifact.accuracy is None else NOT_JUDGED
    if artifact.source is None:
        return UNKNOWN
    return APPROXIMATED if artifact.source.approximated else REFERENCE


def _figures(artifact: Artifact) -> str:
    judged = artifact.accuracy or ()
    several = len({each.output for each in judged}) > 1
    return "; ".join(_figure(each, several=several) for each in judged)


def _figure(figure: Accuracy, *, several: bool) -> str:
    output = f"{figure.output}: " if several else ""
    if figure.low is None or figure.high is None:
        return f"{output}{figure.figure} {figure.value:.4g} of {figure.samples}"
    interval = f"{figure.low:.1%} to {figure.high:.1%}"
    return f"{output}{figure.figure} {figure.value:.1%} ({interval}) of {figure.samples}"
