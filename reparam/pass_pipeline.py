"""The passes in the order they run, each with the reason it stands where it does."""

from __future__ import annotations

import dataclasses

from cnn_export.reparam.passes.affine.fold_affine_into_consumers import FoldAffineIntoConsumers
from cnn_export.reparam.passes.affine.fold_affine_into_producer import FoldAffineIntoProducer
from cnn_export.reparam.passes.affine.fold_affine_through_concatenation import (
    FoldAffineThroughConcatenation,
)
from cnn_export.reparam.passes.affine.standalone_batch_norm import StandaloneBatchNorm
from cnn_export.reparam.passes.borders.constant_border import ConstantBorder
from cnn_export.reparam.passes.branches.merge_linear_branches import MergeLinearBranches
from cnn_export.reparam.passes.branches.pool_before_pointwise import PoolBeforePointwise
from cnn_export.reparam.passes.canonical.canonical_averages import CanonicalAverages
from cnn_export.reparam.passes.canonical.canonical_operators import CanonicalOperators
from cnn_export.reparam.passes.canonical.canonical_reshape import CanonicalReshape
from cnn_export.reparam.passes.canonical.constant_folding import FoldConstants
from cnn_export.reparam.passes.canonical.hard_activations import RecoverHardActivations
from cnn_export.reparam.passes.canonical.remove_no_ops import RemoveNoOps
from cnn_export.reparam.passes.canonical.static_pools import StaticPools
from cnn_export.reparam.passes.functionalize.functionalize_inplace import FunctionalizeInplace
from cnn_export.reparam.passes.legalize.pools.explicit_ceil_pools import ExplicitCeilPools
from cnn_export.reparam.passes.partial_shortcuts.canonical_partial_shortcuts import (
    CanonicalPartialShortcuts,
)
from cnn_export.reparam.passes.slices.crops_as_slices import CropsAsSlices
from cnn_export.reparam.passes.slices.indices_to_slices import IndicesToSlices
from cnn_export.reparam.passes.slices.phases_into_convolution import PhasesIntoConvolution
from cnn_export.reparam.passes.slices.scatter_to_concat import ScatterToConcat
from cnn_export.reparam.passes.slices.simplify_slices import SimplifySlices
from cnn_export.reparam.passes.slices.split_to_slices import SplitToSlices
from cnn_export.reparam.program_pass import ProgramPass


@dataclasses.dataclass(frozen=True)
class PipelinePass:
    """A pass and why it runs at its place."""

    program_pass: ProgramPass
    reason: str


PIPELINE: tuple[PipelinePass, ...] = (
    PipelinePass(
        CanonicalOperators(),
        "first: all other passes know one spelling; replaces no memory that is written to",
    ),
    PipelinePass(
        SplitToSlices(),
        "before FunctionalizeInplace, which follows writes through slices but not through splits",
    ),
    PipelinePass(
        FunctionalizeInplace(),
        "before all others, which leave memory alone that is written to in place",
    ),
    PipelinePass(
        CanonicalReshape(),
        "before RemoveNoOps: a copy made for a view's strides is a no-op only for a reshape",
    ),
    PipelinePass(
        RemoveNoOps(),
        "before all pattern matching: a dropout or alias inside a pattern hides it",
    ),
    PipelinePass(
        FoldConstants(),
        "before weights are read: computed weights and lifted scalars become stored ones",
    ),
    PipelinePass(
        IndicesToSlices(),
        "after FoldConstants, which stores the indices",
    ),
    PipelinePass(
        ScatterToConcat(),
        "after RemoveNoOps, which reads functional copies through",
    ),
    PipelinePass(
        CropsAsSlices(),
        "before SimplifySlices, which shortens what it makes",
    ),
    PipelinePass(
        SimplifySlices(),
        "after ScatterToConcat and FunctionalizeInplace, whose chains of pieces it shortens",
    ),
    PipelinePass(
        CanonicalPartialShortcuts(),
        "after SimplifySlices: it reads slices and concatenations of one level",
    ),
    PipelinePass(
        ConstantBorder(),
        "after FoldConstants, which makes the border's values known",
    ),
    PipelinePass(
        RecoverHardActivations(),
        "after constants, which may hold its 3 and 6",
    ),
    PipelinePass(
        StaticPools(),
        "after RemoveNoOps, which may have to remove a cast between a pool and its size",
    ),
    PipelinePass(
        ExplicitCeilPools(overhanging=()),
        "before all that reads pools: formats round sizes up by formulas of their own",
    ),
    PipelinePass(
        CanonicalAverages(),
        "after StaticPools, whose plain pools it respells",
    ),
    PipelinePass(
        FoldAffineIntoProducer(),
        "after all removals: what stood between a convolution and its normalization is gone by now",
    ),
    PipelinePass(
        FoldAffineThroughConcatenation(),
        "after FoldAffineIntoProducer, which folds the normalizations of single parts; before "
        "FoldAffineIntoConsumers, which may leave a sum",
    ),
    PipelinePass(
        FoldAffineIntoConsumers(),
        "after FoldAffineIntoProducer: a fold into the convolution before leaves no sum behind",
    ),
    PipelinePass(
        PhasesIntoConvolution(),
        "after SimplifySlices, which keeps slices of one level, and before linear regions are read",
    ),
    PipelinePass(
        PoolBeforePointwise(),
        "after FoldAffineIntoProducer, which joins the two; before MergeLinearBranches, which "
        "would spend weights to make one strided convolution of them",
    ),
    PipelinePass(
        MergeLinearBranches(),
        "after FoldAffineIntoProducer, whose fold it could do too, at the price of weighing",
    ),
    PipelinePass(
        StandaloneBatchNorm(),
        "after all that folds or merges normalizations: it spells what is left of them",
    ),
)

DEFAULT_PASSES: tuple[ProgramPass, ...] = tuple(entry.program_pass for entry in PIPELINE)
