"""What a manifest records of int8: data, decision, and what accuracy was measured."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from cnn_export.manifest.field_types import Count, Record, Sha256

_NAMES_MAX = 65_536

ACCURACY_LOST = "accuracy lost"
ACCURACY_OF_FP32 = "accuracy of fp32"
ACCURACY_OF_ARTIFACT = "accuracy of the artifact"
EARLIER_ACCURACY_OF_ARTIFACT = "accuracy of int8"
"""Figures of true classes; the last one is how manifests of earlier versions name the artifact's,
whatever its precision."""


class Scale(Record):
    """An integer input or output: ``real = (q - zero_point) * scale``."""

    scale: Annotated[float, Field(gt=0)]
    zero_point: Annotated[int, Field(ge=-128, le=255)]


class SampleSet(Record):
    """Which samples: ``sha256`` is over their own digests, in their order."""

    kind: Literal["images", "tensors", "synthetic"]
    count: Count
    order: str
    sha256: Sha256
    skipped: Annotated[list[str], Field(max_length=_NAMES_MAX)]


class KeptFloat(Record):
    """An operator that is not int8, and why."""

    node: str
    reason: str


class Accuracy(Record):
    """One figure of one output on the held-back samples; with its bound where it has one.

    ``low`` and ``high`` bound the figure with 95 % confidence, where it is a share of samples.
    """

    output: str
    figure: str
    value: float
    low: float | None = None
    high: float | None = None
    bound: float | None = None
    samples: Count


class Quantization(Record):
    """What rounding numbers to fewer bits changes, and how the artifact was judged for it.

    ``arithmetic``: of ``int8`` and ``int8-dynamic``, the runtime's whose integer emulation the
    artifact equals; of ``int8-weights``, what its layers compute in; of ``fp16``, the runtime that
    was run.
    ``device_profile`` is what an ONNX file was asked to be for. Where the machine that made it
    computes otherwise, ``proven_in`` is the arithmetic that the file was proven in, its activations
    moved to uint8; ``not_run`` names the device that it was asked to be for, where that did not run
    it. ``ranges`` and ``calibration`` are there where activations are integers
    (``int8``); ``int8_layers`` have integer weights, ``int8_macs`` are computed in integers.
    """

    arithmetic: str
    device_profile: Literal["x86", "htp", "arm"] | None = None
    proven_in: str | None = None
    not_run: str | None = None
    ranges: str | None = None
    bias_correction: Literal[True] | None = None
    calibration: SampleSet | None = None
    evaluation: SampleSet
    int8_layers: Count
    int8_macs: Count
    kept_float: Annotated[list[KeptFloat], Field(max_length=_NAMES_MAX)]
    accuracy: Annotated[list[Accuracy], Field(max_length=_NAMES_MAX)]

    @property
    def judged(self) -> bool:
        """Whether accuracy was judged: on noise it is not."""
        return self.evaluation.kind != "synthetic"

    @property
    def synthetic(self) -> bool:
        """Whether ranges, or accuracy, were measured on no real data."""
        sets = (self.calibration, self.evaluation)
        return any(each is not None and each.kind == "synthetic" for each in sets)
