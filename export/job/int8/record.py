"""A decision's data and figures as the manifest records them."""

from __future__ import annotations

import math
from collections.abc import Mapping

from cnn_export.manifest.quantization_fields import (
    ACCURACY_LOST,
    ACCURACY_OF_ARTIFACT,
    ACCURACY_OF_FP32,
    Accuracy,
    KeptFloat,
    SampleSet,
)
from cnn_export.quantization.accuracy.figures import OutputFigures
from cnn_export.quantization.accuracy.share import Share
from cnn_export.quantization.accuracy.verdict import Verdict
from cnn_export.quantization.calibration.record import CalibrationRecord
from cnn_export.quantization.decision import Decision
from cnn_export.quantization.stage.quantizer import Judged


def sample_set(record: CalibrationRecord) -> SampleSet:
    """Return which samples, and what was left out of them."""
    return SampleSet(
        kind=record.kind,
        count=record.count,
        order=record.order,
        sha256=record.sha256,
        skipped=[f"{each.name}: {each.reason}" for each in record.skipped],
    )


def kept_float(decision: Decision) -> list[KeptFloat]:
    """Return the operators that are not integer, each with its reason."""
    return [KeptFloat(node=node, reason=reason) for node, reason in decision.kept_float.items()]


def accuracy(judged: Judged) -> list[Accuracy]:
    """Return every figure of every output, in the order of the outputs."""
    bounds = {(each.output, each.figure): each for each in judged.verdicts}
    return [figure for figures in judged.figures for figure in _figures_of(figures, bounds)]


def _figures_of(
    figures: OutputFigures, verdicts: Mapping[tuple[str, str], Verdict]
) -> list[Accuracy]:
    """Return every figure of an output that is a number, with its bound where it was judged."""
    classes = figures.true_classes
    shares: dict[str, Share | None] = {
        "agreement": figures.agreement,
        "agreement where fp32 is sure": figures.agreement_sure,
        ACCURACY_OF_FP32: None if classes is None else classes.fp32,
        ACCURACY_OF_ARTIFACT: None if classes is None else classes.int8,
    }
    numbers: dict[str, float | None] = {
        ACCURACY_LOST: None if classes is None else classes.loss,
        "cosine": figures.cosine,
        "worst cosine": figures.cosine_worst,
        "SNR in dB": figures.snr_db,
        "variance explained": figures.explained,
    }

    def made(name: str, value: float, samples: int, share: Share | None = None) -> Accuracy:
        verdict = verdicts.get((figures.name, name))
        low, high = (None, None) if share is None else share.interval
        bound = None if verdict is None else verdict.bound
        return Accuracy(
            output=figures.name,
            figure=name,
            value=value,
            low=low,
            high=high,
            bound=bound,
            samples=samples,
        )

    counted = [
        made(name, share.value, share.total, share)
        for name, share in shares.items()
        if share is not None
    ]
    # An infinite SNR is one of equal answers: no number of JSON.
    measured = [
        made(name, value, figures.samples)
        for name, value in numbers.items()
        if value is not None and math.isfinite(value)
    ]
    return [*counted, *measured]
