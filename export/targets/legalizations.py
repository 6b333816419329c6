"""Each format's legalization of the network that was proven: passes over a copy of its graph.

No other format sees them. Chosen by time, MobileNeXt-1.0 at 224 with half of its shortcuts'
channels (``python -m cnn_export.benchmarks.studies.identity_multiplier``) and GhostNet, one thread.
"""

from __future__ import annotations

import dataclasses

from cnn_export.reparam.pass_pipeline import PipelinePass
from cnn_export.reparam.passes.equalize.equalize_layers import EqualizeLayers
from cnn_export.reparam.passes.legalize.arithmetic.batched_products import BatchedProducts
from cnn_export.reparam.passes.legalize.arithmetic.centered_norms import CenteredNorms
from cnn_export.reparam.passes.legalize.arithmetic.channel_windows import ChannelWindows
from cnn_export.reparam.passes.legalize.arithmetic.delegated_reductions import DelegatedReductions
from cnn_export.reparam.passes.legalize.arithmetic.float_numbers import FloatNumbers
from cnn_export.reparam.passes.legalize.arithmetic.implicit_expansions import ImplicitExpansions
from cnn_export.reparam.passes.legalize.arithmetic.plain_attention import PlainAttention
from cnn_export.reparam.passes.legalize.arithmetic.plain_powers import PlainPowers
from cnn_export.reparam.passes.legalize.arithmetic.smooth_activations import SmoothActivations
from cnn_export.reparam.passes.legalize.arithmetic.two_step_averages import TwoStepAverages
from cnn_export.reparam.passes.legalize.computed_kernels import ComputedKernels
from cnn_export.reparam.passes.legalize.explicit_strides import ExplicitStrides
from cnn_export.reparam.passes.legalize.float_hard_sigmoid import FloatHardSigmoid
from cnn_export.reparam.passes.legalize.geometry.borders_as_pieces import BordersAsPieces
from cnn_export.reparam.passes.legalize.geometry.nearest_as_copies import NearestAsCopies
from cnn_export.reparam.passes.legalize.geometry.plain_transposed_convolutions import (
    PlainTransposedConvolutions,
)
from cnn_export.reparam.passes.legalize.geometry.resizes_as_products import ResizesAsProducts
from cnn_export.reparam.passes.legalize.half_precision import HalfPrecision
from cnn_export.reparam.passes.legalize.hard_sigmoid_in_layer import HardSigmoidInLayer
from cnn_export.reparam.passes.legalize.image_prelus import ImagePRelus
from cnn_export.reparam.passes.legalize.pools.average_pools_as_convolutions import (
    AveragePoolsAsConvolutions,
)
from cnn_export.reparam.passes.legalize.pools.explicit_ceil_pools import ExplicitCeilPools
from cnn_export.reparam.passes.legalize.pools.padded_averages import PaddedAverages
from cnn_export.reparam.passes.legalize.pools.zero_padded_pools import ZeroPaddedPools
from cnn_export.reparam.passes.legalize.shapes.lines_as_images import LinesAsImages
from cnn_export.reparam.passes.legalize.shapes.plain_slices import PlainSlices
from cnn_export.reparam.passes.legalize.shapes.reshaped_ranks import ReshapedRanks
from cnn_export.reparam.passes.legalize.shapes.reshaped_transposes import ReshapedTransposes
from cnn_export.reparam.passes.legalize.shapes.short_concatenations import ShortConcatenations
from cnn_export.reparam.passes.legalize.shapes.squeeze_reshapes import SqueezeReshapes
from cnn_export.reparam.passes.legalize.unit_clamps import UnitClamps
from cnn_export.reparam.passes.partial_shortcuts.carry_split import CarrySplit
from cnn_export.reparam.passes.partial_shortcuts.mask_partial_shortcuts import MaskPartialShortcuts
from cnn_export.reparam.passes.slices.crops_as_slices import CropsAsSlices
from cnn_export.reparam.passes.slices.simplify_slices import SimplifySlices


@dataclasses.dataclass(frozen=True)
class LegalizationPass(PipelinePass):
    """A pass of a legalization.

    ``always``: the converter needs it, so it runs without the reparameterization stage as well.
    ``required``: what it refuses, the format cannot hold.
    """

    always: bool = False
    required: bool = False


@dataclasses.dataclass(frozen=True)
class Legalization:
    """A format's passes, which change no function, and the one that rounds to float16.

    ``half`` is for ``--precision fp16``, after the others; ``None`` where the converter rounds.
    """

    passes: tuple[LegalizationPass, ...]
    half: LegalizationPass | None = None


CACHED_MAP_BYTES = 2**19
"""Maps up to this size a core's second-level cache holds: passing over one once more is cheaper
than the five operators that carrying a block's maps in parts adds."""

XNNPACK_CONCATENATES = 5
"""How many tensors XNNPACK joins at once; LiteRT leaves longer concatenations to its own kernel."""

_CARRIED = LegalizationPass(
    CarrySplit(),
    "alone: a slice or concatenation moves whole maps, and ends a partition where XNNPACK has none",
)

_TRANSPOSED = LegalizationPass(
    PlainTransposedConvolutions(XNNPACK_CONCATENATES),
    "by itself: litert-torch takes what TFLite's operator pads, and makes each group a layer",
    always=True,
)

_PRODUCTS = LegalizationPass(
    ResizesAsProducts(),
    "before NearestAsCopies, which refuses the nearest ones of these",
)

_BORDERS = LegalizationPass(
    BordersAsPieces(XNNPACK_CONCATENATES),
    "by itself: XNNPACK pads with a constant alone",
)

_CROPS = LegalizationPass(
    CropsAsSlices(),
    "by itself: neither converter nor runtime crops by a pad",
    always=True,
)

_STRIDES = LegalizationPass(
    ExplicitStrides(),
    "by itself: the converter reads the stride of a max pool whether it is there or not",
    always=True,
)

_SMOOTH = LegalizationPass(
    SmoothActivations(),
    "by itself: spelled by torch, these compare and select, which XNNPACK does not",
)

_POWERS = LegalizationPass(
    PlainPowers(),
    "by itself: XNNPACK has squares and roots, and exponentials for all others",
)

_WINDOWS = LegalizationPass(
    ChannelWindows(),
    "after the stage, which makes a convolution of the average along channels",
)

_EXPANSIONS = LegalizationPass(
    ImplicitExpansions(),
    "by itself: XNNPACK repeats a value in arithmetic, and has no operator that only repeats",
)

_AVERAGES = LegalizationPass(
    TwoStepAverages(),
    "after all that inserts means: of a large map one sum loses digits",
)

_PRELUS = LegalizationPass(
    ImagePRelus(),
    "before conversion: the converter takes the slopes of images only",
    always=True,
)

_CIRCULAR = LegalizationPass(
    BordersAsPieces(XNNPACK_CONCATENATES, ("circular",)),
    "by itself: Core ML pads by no other end of an image",
    always=True,
)

_HALF = LegalizationPass(
    HalfPrecision(),
    "last: the converter has no precision of its own, and takes the graph's dtypes as they are",
    required=True,
)

TFLITE = Legalization(
    (
        _CARRIED,
        LegalizationPass(
            SqueezeReshapes(),
            "before conversion: litert-torch lowers no reshape with a symbolic batch",
            always=True,
            required=True,
        ),
        LegalizationPass(
            ZeroPaddedPools(),
            "after the others: what stands beside a pool decides, and a PADV2 ends a partition",
            always=True,
        ),
        LegalizationPass(
            ComputedKernels(),
            "by itself: litert-torch mistakes the order of a kernel that is a map",
            always=True,
        ),
        _TRANSPOSED,
        LegalizationPass(
            UnitClamps(),
            "by itself: LiteRT has an operator for it that XNNPACK does not take",
        ),
        _PRODUCTS,
        LegalizationPass(
            NearestAsCopies("concatenations"),
            "before ShortConcatenations, for factors beyond five",
        ),
        _BORDERS,
        LegalizationPass(
            ShortConcatenations(XNNPACK_CONCATENATES),
            "after CarrySplit, which makes and undoes concatenations, and all that makes long ones",
        ),
        LegalizationPass(
            CenteredNorms("group_norm"),
            "by itself: the converter repeats a group's mean, which XNNPACK does in arithmetic",
        ),
        LegalizationPass(
            ReshapedTransposes(),
            "by itself: the converter makes a layer of one matrix times a transposed one",
        ),
        _SMOOTH,
        _WINDOWS,
        _POWERS,
        _EXPANSIONS,
        _AVERAGES,
    )
)

EXECUTORCH = Legalization(
    (
        _CROPS,
        _CARRIED,
        _STRIDES,
        LegalizationPass(
            PlainSlices(),
            "after CarrySplit, which knows slices as the network has them",
        ),
        _WINDOWS,
        LegalizationPass(
            ReshapedRanks(),
            "after CarrySplit and ChannelWindows, which know ranks as the network has them",
        ),
        LegalizationPass(
            PaddedAverages(),
            "by itself: XNNPACK has no pool that counts its padding",
        ),
        LegalizationPass(
            PlainTransposedConvolutions(None, takes_padding=True),
            "by itself: with a group per channel XNNPACK's own takes 14 times as long",
        ),
        _PRODUCTS,
        LegalizationPass(
            NearestAsCopies("products"),
            "after CarrySplit, which carries a resize; its own kernel takes 4 times as long",
        ),
        _BORDERS,
        LegalizationPass(
            FloatHardSigmoid(),
            "after CarrySplit, which carries the whole operator: its decomposition has integers",
            always=True,
        ),
        LegalizationPass(
            FloatNumbers(),
            "by itself: a whole number is converted by a kernel call of its own",
        ),
        _PRELUS,
        LegalizationPass(
            LinesAsImages(),
            "before CenteredNorms and DelegatedReductions, which take images",
        ),
        LegalizationPass(
            PlainAttention(),
            "before BatchedProducts, which respells its products",
        ),
        LegalizationPass(
            BatchedProducts(),
            "after PlainAttention, whose products it respells",
        ),
        LegalizationPass(
            CenteredNorms(),
            "by itself: the runtime's own kernels lose the digits of even maps",
        ),
        LegalizationPass(
            DelegatedReductions(),
            "after LinesAsImages, whose means it need not respell",
        ),
        _SMOOTH,
        _POWERS,
        _EXPANSIONS,
        _AVERAGES,
    ),
    _HALF,
)

_SHORTENED = LegalizationPass(
    SimplifySlices(),
    "after MaskPartialShortcuts, whose readers may cut a part of a part, which its next run reads",
)

ONNX = Legalization(
    (
        LegalizationPass(
            ExplicitCeilPools(("avg",)),
            "by itself: ONNX Runtimes differ in the divisor (microsoft/onnxruntime 29629), and the "
            "one on a phone is another; of maxima there is no dispute, and a pad costs time",
        ),
        LegalizationPass(
            MaskPartialShortcuts(CACHED_MAP_BYTES),
            "before CarrySplit, which takes what is left: ONNX Runtime adds a whole map inside the "
            "convolution before it, and on small maps an operator costs more than a mask",
        ),
        _SHORTENED,
        LegalizationPass(
            CarrySplit(),
            "after MaskPartialShortcuts, whose sums it leaves: large maps are dear to pass over",
        ),
    ),
    _HALF,
)

COREML = Legalization(
    (
        _CROPS,
        _STRIDES,
        _CIRCULAR,
        LegalizationPass(
            ExplicitCeilPools(),
            "by itself: on devices, Core ML's overhanging averages were measured to be other than "
            "PyTorch's (apple/coremltools 2772, 2844)",
        ),
        LegalizationPass(
            MaskPartialShortcuts(),
            "first: two operators where slices take four and carried parts five; no Core ML was at "
            "hand to time, and its runtime schedules few large operators best",
        ),
        _SHORTENED,
        _PRELUS,
    )
)

INT8 = Legalization(
    (
        _STRIDES,
        _TRANSPOSED,
        _CIRCULAR,
        LegalizationPass(
            ExplicitCeilPools(("avg",)),
            "before AveragePoolsAsConvolutions, which takes windows of one divisor only",
        ),
        LegalizationPass(
            AveragePoolsAsConvolutions(),
            "by itself: pools that share a scale have ties, and ties differ between runtimes",
            always=True,
        ),
        LegalizationPass(
            HardSigmoidInLayer(),
            "by itself: a clip behind a layer is integer, a hard sigmoid an island of floats",
            always=True,
        ),
        LegalizationPass(
            SqueezeReshapes(),
            "as for TFLite; what it refuses, the other formats still take",
            always=True,
        ),
        LegalizationPass(
            ZeroPaddedPools(),
            "after the others: what stands beside a pool decides, as for TFLite",
            always=True,
        ),
    )
)
"""For ``--precision int8``, one for every format: there is one graph, and one decision on it.

Partial shortcuts stay slice, sum and concatenation: of bytes these are cheap, and what carries or
masks them rounds once more. MobileNeXt-1.0 with half of its shortcuts' channels, time over carried
in parts (two processes): TFLite 0.99, ONNX Runtime 0.93, ExecuTorch 0.97; masked 1.01, 1.02, 1.01.

Hard-swish stays float, measured on TFLite: as the product of a map and a layer that computes
``clip(x/6 + 1/2, 0, 1)`` it would be integer, and MobileNetV3-Large takes 1.15 of the time there.
"""

INT8_EQUALIZED = Legalization(
    (
        *INT8.passes,
        LegalizationPass(
            EqualizeLayers(),
            "last: it balances the channels of layers as they are quantized, pools among them",
        ),
    )
)
"""With ``--equalize``. Not by default: MobileNetV2, whose weights have a scale per channel, agrees
with fp32 no better (``quantization/scheme/options.py`` has the figures)."""
