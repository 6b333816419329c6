"""Ways to quantize a network, from the plain one that fails to the one that is the default."""

from __future__ import annotations

import dataclasses

from cnn_export.quantization.scheme.options import RangeMethod, SchemeOptions


@dataclasses.dataclass(frozen=True)
class Variant:
    """Options of the scheme, and whether biases are corrected after it."""

    options: SchemeOptions
    corrected: bool = False


def _variant(ranges: RangeMethod, *, corrected: bool = False, per_tensor: bool = False) -> Variant:
    return Variant(SchemeOptions(ranges=ranges, per_tensor_weights=per_tensor), corrected)


VARIANTS: dict[str, Variant] = {
    "min/max, a weight scale per tensor": _variant("minmax", per_tensor=True),
    "min/max": _variant("minmax"),
    "min/max, corrected": _variant("minmax", corrected=True),
    "percentile 99.99": _variant("percentile"),
    "MSE": _variant("mse"),
    "MSE, corrected": _variant("mse", corrected=True),
}
"""One weight scale per channel where nothing else is said, "corrected" with bias correction."""
