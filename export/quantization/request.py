"""What a job is asked about int8: the data, how ranges are taken, what stays float, the border."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Literal, get_args

from cnn_export.errors import UsageError
from cnn_export.program.tensors import Precision
from cnn_export.quantization.calibration.reading import SYNTHETIC
from cnn_export.quantization.spelling import Border

AUTOMATIC = "auto"
"""In place of layers' names: the cheapest set that meets the accuracy bound."""


@dataclasses.dataclass(frozen=True)
class QuantizationRequest:
    """How a ``precision`` of fewer bits is to be done.

    ``calibration`` holds the samples that ranges are measured on, ``evaluation`` other ones that
    accuracy is (``None``: a part of ``calibration`` is held back). Only ``int8`` takes ranges; of
    other precisions either source judges, all of it. ``keep_float`` names layers, or is
    :data:`AUTOMATIC` alone. ``border`` is the type of inputs and outputs. ``strict`` refuses a
    network with an operator that has no int8 form, instead of keeping it float and saying so.
    ``bias_correction`` and ``equalize`` are of the same network what the ranges do not mend.
    """

    calibration: Path | Literal["synthetic"] | None
    evaluation: Path | Literal["synthetic"] | None = None
    labels: Path | None = None
    ranges: str | None = None
    keep_float: tuple[str, ...] = ()
    border: Border = "float"
    strict: bool = False
    bias_correction: bool = False
    equalize: bool = False
    precision: Precision = "int8"

    @property
    def calibrates(self) -> bool:
        """Whether ranges are taken from samples."""
        return self.precision == "int8"

    @property
    def _judged_by_one_twice(self) -> bool:
        given = [str(each) for each in (self.calibration, self.evaluation) if each is not None]
        same = len(given) == 2 and len({Path(each).resolve() for each in given}) == 1
        return same and not self.calibrates

    def __post_init__(self) -> None:
        """Refuse a border that does not exist, a choice beside names, and one source given twice.

        Raises:
            UsageError: says which, and what there is.
        """
        if self.border not in get_args(Border):
            raise UsageError(
                f"--io {self.border!r} does not exist; choose {', '.join(get_args(Border))}"
            )
        if AUTOMATIC in self.keep_float and len(self.keep_float) > 1:
            raise UsageError(
                f"--keep-float {AUTOMATIC} chooses the layers; name them or let them be chosen"
            )
        if self._judged_by_one_twice:
            raise UsageError(f"nothing is calibrated for {self.precision}: give --evaluation alone")
        judging = self.calibration if self.evaluation is None else self.evaluation
        if self.labels is not None and judging == SYNTHETIC:
            raise UsageError("--labels belong to real samples; add --evaluation, or drop them")
