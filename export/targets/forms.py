"""Each format's spelling of the network that was proven: passes over a copy of its graph.

They change no function, and no other format sees them. Chosen by time, MobileNeXt-1.0 at 224 with
half of its shortcuts' channels (``python -m cnn_export.benchmarks.studies.identity_multiplier``)
and GhostNet, one thread.
"""

from __future__ import annotations

from cnn_export.reparam.pass_pipeline import OrderedPass
from cnn_export.reparam.passes.legalize.explicit_ceil_pools import ExplicitCeilPools
from cnn_export.reparam.passes.partial_shortcuts.carry_split import CarrySplit
from cnn_export.reparam.passes.partial_shortcuts.mask_partial_shortcuts import MaskPartialShortcuts
from cnn_export.reparam.passes.slices.simplify_slices import SimplifySlices

Form = tuple[OrderedPass, ...]

CACHED_MAP_BYTES = 2**19
"""Maps up to this size a core's second-level cache holds: passing over one once more is cheaper
than the five operators that carrying a block's maps in parts adds."""

_CARRIED = OrderedPass(
    CarrySplit(),
    "alone: a slice or concatenation moves whole maps, and ends a partition where XNNPACK has none",
)

TFLITE: Form = (_CARRIED,)
EXECUTORCH: Form = (_CARRIED,)

_SHORTENED = OrderedPass(
    SimplifySlices(),
    "after MaskPartialShortcuts, whose readers may cut a part of a part, which its next run reads",
)

ONNX: Form = (
    OrderedPass(
        ExplicitCeilPools(("avg",)),
        "by itself: ONNX Runtimes differ in the divisor (microsoft/onnxruntime 29629), and the one "
        "on a phone is another; of maxima there is no dispute, and a pad costs time",
    ),
    OrderedPass(
        MaskPartialShortcuts(CACHED_MAP_BYTES),
        "before CarrySplit, which takes what is left: ONNX Runtime adds a whole map inside the "
        "convolution before it, and on small maps an operator costs more than a mask",
    ),
    _SHORTENED,
    OrderedPass(
        CarrySplit(),
        "after MaskPartialShortcuts, whose sums it leaves alone: large maps are dear to pass over",
    ),
)

COREML: Form = (
    OrderedPass(
        ExplicitCeilPools(),
        "by itself: on devices, Core ML's overhanging averages were measured to be other than "
        "PyTorch's (apple/coremltools 2772, 2844)",
    ),
    OrderedPass(
        MaskPartialShortcuts(),
        "first: two operators where slices take four and carried parts five; no Core ML was at "
        "hand to time, and its runtime schedules few large operators best",
    ),
    _SHORTENED,
)
