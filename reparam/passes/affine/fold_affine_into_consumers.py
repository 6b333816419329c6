"""Fold batch normalization and other per-channel maps into the convolutions behind them."""

from __future__ import annotations

import dataclasses

import torch
from torch import fx

from cnn_export.reparam.graph.aliases import written_nodes
from cnn_export.reparam.graph.operators import value_of
from cnn_export.reparam.graph.stored_weights import StoredWeights
from cnn_export.reparam.graph.surgery import insert_call, insert_constant, replace
from cnn_export.reparam.passes.affine.absorbers import Absorber, Blocked, find_absorbers
from cnn_export.reparam.passes.affine.affine_chain import AffineChain, read_chains
from cnn_export.reparam.passes.affine.batch_norm import Affine, all_finite
from cnn_export.reparam.program_pass import PassResult, ProgramPass, Refusal

_add = torch.ops.aten.add.Tensor

LARGEST_OFFSET = 2.0**14
"""Limit of ``|c/a|``: the sum with it is still a float16."""


@dataclasses.dataclass(frozen=True)
class _Match:
    """A chain, the operators that take it over, and the sum that stays in its place, if any."""

    chain: AffineChain
    absorbers: tuple[Absorber, ...]
    folded: Affine
    offset: torch.Tensor | None


class FoldAffineIntoConsumers(ProgramPass):
    """conv(a·x + c)  ⇒  conv'(x), or conv'(x + c/a) where conv pads zeros.

    ``W'[o,i] = W[o,i]·a[i]    b'[o] = b[o] + Σ_{i,t} W[o,i,t]·c[i]``

    *Given* batch norm, or products and sums with numbers or stored tensors, one after the other,
    whose every reader is a convolution, transposed convolution or linear; or leads to one through
    averages, maxima, rectifiers, padding, resizing and reshapes that such a map passes; or, along
    channels that stand last, products and sums that only fully connected layers read. *Result*
    those operators with new weights, alone. ``c`` reaches the bias only where every output sums
    over the whole kernel. Zeros padded around ``a·x + c`` are zeros around ``x + c/a`` as well, so
    else that one sum stays, exact also at the borders: one operator in place of two.

    Before a rectifier such a sum would stay too, but gains nothing over the depthwise convolution
    of ``StandaloneBatchNorm``, which the rectifier fuses with as well (measured: 1 % faster on
    TFLite and ExecuTorch, 10 % slower on ONNX Runtime).
    """

    def rewrite(self, graph_module: fx.GraphModule) -> PassResult:
        """Fold every chain that can be folded; the last first, which frees those before it."""
        rewrites: list[str] = []
        refusals: list[Refusal] = []
        written = written_nodes(graph_module.graph)
        store = StoredWeights(graph_module)
        for chain in reversed(read_chains(graph_module, written)):
            match = _match(graph_module, chain, written)
            if isinstance(match, Refusal):
                refusals.append(match)
            elif match is not None:
                _fold(graph_module, store, match)
                rewrites.append(chain.last.name)
        return PassResult(self.name, tuple(rewrites), tuple(refusals))


def _match(
    graph_module: fx.GraphModule, chain: AffineChain, written: set[fx.Node]
) -> _Match | Refusal | None:
    absorbers = find_absorbers(graph_module, chain.last, written, chain.channel_dim)
    if isinstance(absorbers, Blocked):
        worth_saying = absorbers.near and chain.normalizes
        return Refusal(chain.last.name, absorbers.reason) if worth_saying else None
    scale, shift = chain.affine.scale, chain.affine.shift
    if any(absorber.commuting.positive for absorber in absorbers) and not bool((scale >= 0).all()):
        return Refusal(chain.last.name, f"{int((scale < 0).sum())} scales below 0 pass no maximum")
    if all(absorber.commuting.shift for absorber in absorbers) or not bool(shift.any()):
        return _checked(_Match(chain, absorbers, chain.affine, None))
    if len(chain.nodes) == 1 and not chain.normalizes:
        return None  # the sum that would stay is one operator as well
    return _leaving_offset(chain, absorbers)


def _leaving_offset(chain: AffineChain, absorbers: tuple[Absorber, ...]) -> _Match | Refusal | None:
    if any(absorber.commuting.rectifies for absorber in absorbers):
        return None  # left to StandaloneBatchNorm, see above
    scale, shift = chain.affine.scale, chain.affine.shift
    zeros = (scale == 0).nonzero()
    if len(zeros):
        channel = int(zeros[0])
        return Refusal(
            chain.last.name,
            f"its scale is 0 in channel {channel}, whose shift zero padding keeps from the bias",
        )
    offset = shift / scale
    if not bool((offset.abs() <= LARGEST_OFFSET).all()):
        return Refusal(chain.last.name, f"shift / scale is {float(offset.abs().max()):.3g}")
    return _checked(_Match(chain, absorbers, Affine(scale, torch.zeros_like(shift)), offset))


def _checked(match: _Match) -> _Match | Refusal:
    for absorber in match.absorbers:
        weight, bias = absorber.with_scale(match.folded.scale), absorber.with_shift(match.folded)
        if not all_finite(weight, *(() if bias is None else (bias,))):
            name = absorber.operator.node.name
            return Refusal(match.chain.last.name, f"the folded weights of {name} are not finite")
    return match


def _fold(graph_module: fx.GraphModule, store: StoredWeights, match: _Match) -> None:
    for absorber in match.absorbers:
        bias, dtype = absorber.with_shift(match.folded), absorber.weight.dtype
        store.give(
            absorber.operator,
            absorber.with_scale(match.folded.scale).to(dtype),
            None if bias is None else bias.to(dtype),
        )
    last, source = match.chain.last, match.chain.input
    if match.offset is not None:
        shape = (1, -1, *[1] * (value_of(last).ndim - 2))
        offset = match.offset.to(value_of(last).dtype).reshape(shape)
        held = insert_constant(graph_module, f"{last.name}_offset", offset, before=last, like=last)
        source = insert_call(last.graph, _add, (source, held), before=last, like=last)
    replace(last, source)
