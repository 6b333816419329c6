"""Let PReLU work on images, the only shape whose slopes some converters read."""

from __future__ import annotations

import torch
from torch import fx

from cnn_export.reparam.graph.operators import arguments, operator_name, value_of
from cnn_export.reparam.graph.surgery import Respelling
from cnn_export.reparam.program_pass import PassResult, ProgramPass

_aten = torch.ops.aten
_IMAGE_RANK = 4


class ImagePRelus(ProgramPass):
    """prelu(x)  ⇒  squeeze(prelu(unsqueeze(x))).

    *Given* a PReLU of vectors (N, C) or lines (N, C, L). *Result* the same of an image of one pixel
    or column: Core ML has no other, and ExecuTorch's converter fails on others.
    """

    def rewrite(self, graph_module: fx.GraphModule) -> PassResult:
        """Respell every such operator."""
        rewrites: list[str] = []
        for node in list(graph_module.graph.nodes):
            if operator_name(node) != "prelu":
                continue
            source: fx.Node = arguments(node)["self"]
            missing = _IMAGE_RANK - value_of(source).ndim
            if not 1 <= missing < _IMAGE_RANK - 1:
                continue
            new = Respelling(graph_module, node)
            for _ in range(missing):
                source = new.insert_unsqueezed(source, value_of(source).ndim)
            result = new.call(_aten.prelu.default, source, arguments(node)["weight"])
            for _ in range(missing):
                result = new.insert_squeezed(result, value_of(result).ndim - 1)
            new.give(result)
            rewrites.append(node.name)
        return PassResult(self.name, tuple(rewrites))
