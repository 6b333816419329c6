"""Spell the per-channel maps that nothing could take over in the form that runtimes run best."""

from __future__ import annotations

import torch
from torch import fx
from torch._ops import OpOverload

from cnn_export.reparam.graph.aliases import written_nodes
from cnn_export.reparam.graph.operators import operator_name, value_of
from cnn_export.reparam.graph.surgery import insert_call, insert_constant, replace
from cnn_export.reparam.passes.affine.affine_chain import AffineChain, read_chains
from cnn_export.reparam.passes.affine.batch_norm import Affine
from cnn_export.reparam.passes.affine.channel_affine import CHANNEL_DIM, batch_norm_map
from cnn_export.reparam.program_pass import PassResult, ProgramPass, Refusal

_aten = torch.ops.aten
_IMAGE_RANK = 4


class StandaloneBatchNorm(ProgramPass):
    """batch_norm(x)  ⇒  depthwise 1x1 convolution of images, else x·a + c.

    ``a = γ/√(var + ε)    c = β - μ·a``

    *Given* evaluation-mode batch norms that follow no convolution (an addition, a concatenation, a
    pool, a convolution with other readers), or several maps per channel in a row. *Result* one map
    with its constants stored. Zero shifts leave ``x·a``, scales of one leave ``x + c``.

    The form was chosen by time, one thread, DenseNet-121 and ResNetV2-50 at 224: ``x·a + c`` takes
    1 to 2 % longer on TFLite and ExecuTorch and 13 % longer on ONNX Runtime, batch_norm 3 to 7 %
    longer on TFLite. XNNPACK runs the convolution as one multiply-add and clamps in it.
    """

    def rewrite(self, graph_module: fx.GraphModule) -> PassResult:
        """Respell every normalization, and every chain that gets shorter."""
        written = written_nodes(graph_module.graph)
        rewrites: list[str] = []
        for chain in reversed(read_chains(graph_module, written)):
            if chain.channel_dim != CHANNEL_DIM:
                continue
            if chain.normalizes or len(chain.nodes) > _operators(chain):
                replace(chain.last, _insert_map(graph_module, chain))
                rewrites.append(chain.last.name)
        return PassResult(self.name, tuple(rewrites), _refusals(graph_module, written))


def _refusals(graph_module: fx.GraphModule, written: set[fx.Node]) -> tuple[Refusal, ...]:
    left = [node for node in graph_module.graph.nodes if operator_name(node) == "batch_norm"]
    return tuple(
        Refusal(node.name, reason)
        for node in left
        if node.users and (reason := _reason(graph_module, node, written))
    )


def _reason(graph_module: fx.GraphModule, node: fx.Node, written: set[fx.Node]) -> str:
    changed = next((each for each in (node, *node.all_input_nodes) if each in written), None)
    if changed is not None:
        return f"{changed.name} is written to in place"
    affine = batch_norm_map(graph_module, node)
    return affine if isinstance(affine, str) else "its map is not finite"


def _is_depthwise(chain: AffineChain) -> bool:
    """Whether the map is worth a convolution: numbers that all channels share are not."""
    scale, shift = chain.affine.scale, chain.affine.shift
    if value_of(chain.last).ndim != _IMAGE_RANK or not _scales(chain) or not bool(shift.any()):
        return False
    return chain.normalizes or bool((scale != scale[0]).any() or (shift != shift[0]).any())


def _scales(chain: AffineChain) -> bool:
    return bool((chain.affine.scale != 1).any())


def _operators(chain: AffineChain) -> int:
    """Return how many operators the chain's map takes in its stored form."""
    parts = _scales(chain) + bool(chain.affine.shift.any())
    return 1 if _is_depthwise(chain) else max(1, parts)


def _insert_map(graph_module: fx.GraphModule, chain: AffineChain) -> fx.Node:
    if _is_depthwise(chain):
        return _insert_depthwise(graph_module, chain, chain.affine)
    value, shape = chain.input, (1, -1, *[1] * (value_of(chain.last).ndim - 2))
    shifts = bool(chain.affine.shift.any())
    if _scales(chain) or not shifts:
        scale = _insert_stored(graph_module, chain, "scale", chain.affine.scale.reshape(shape))
        value = _call(chain, _aten.mul.Tensor, (value, scale))
    if shifts:
        shift = _insert_stored(graph_module, chain, "shift", chain.affine.shift.reshape(shape))
        value = _call(chain, _aten.add.Tensor, (value, shift))
    return value


def _insert_depthwise(graph_module: fx.GraphModule, chain: AffineChain, affine: Affine) -> fx.Node:
    weight = _insert_stored(graph_module, chain, "scale", affine.scale.reshape(-1, 1, 1, 1))
    bias = _insert_stored(graph_module, chain, "shift", affine.shift)
    args = (chain.input, weight, bias, [1, 1], [0, 0], [1, 1], len(affine.scale))
    return _call(chain, _aten.conv2d.default, args)


def _insert_stored(
    graph_module: fx.GraphModule, chain: AffineChain, kind: str, value: torch.Tensor
) -> fx.Node:
    last = chain.last
    tensor = value.to(value_of(last).dtype).contiguous()
    return insert_constant(graph_module, f"{last.name}_{kind}", tensor, before=last, like=last)


def _call(chain: AffineChain, target: OpOverload, args: tuple[object, ...]) -> fx.Node:
    return insert_call(chain.last.graph, target, args, before=chain.last, like=chain.last)
