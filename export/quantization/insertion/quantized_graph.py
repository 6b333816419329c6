"""One decision, written into a graph for one converter."""

from __future__ import annotations

from torch import fx

from cnn_export.quantization.decision import Decision
from cnn_export.quantization.insertion.activations import FLOAT, insert_activation
from cnn_export.quantization.insertion.layers import insert_layers
from cnn_export.quantization.insertion.redundant_clips import redundant_clips
from cnn_export.quantization.spelling import Border, Spelling
from cnn_export.reparam.graph.attributes import drop_unused_attributes
from cnn_export.reparam.graph.copies import copied
from cnn_export.reparam.graph.surgery import replace


def quantized_graph(
    graph_module: fx.GraphModule, decision: Decision, spelling: Spelling, *, io: Border = FLOAT
) -> fx.GraphModule:
    """Return a copy of the graph with quantize and dequantize where ``decision`` says so.

    Node names of the original are kept, every new node has its shape and source line. Clips that
    quantization does by itself are left out. With ``io`` other than float, those inputs and outputs
    that the decision holds are integers of that dtype: nothing quantizes the former or dequantizes
    the latter inside. Others stay as they are.

    Raises:
        ValueError: the decision is about another graph: a node is missing, or is no layer.
    """
    quantized = copied(graph_module)
    nodes = {node.name: node for node in quantized.graph.nodes}
    unknown = sorted(decision.tensors.keys() - nodes.keys())
    if unknown:
        raise ValueError(f"the decision is about another graph: it has no {', '.join(unknown)}")
    # Layers first: they look for their input by name, which then is a dequantize.
    insert_layers(quantized, decision, spelling)
    clips = redundant_clips(quantized, decision.tensors)
    merged = {clip for clip, source in clips.items() if source.name in decision.tensors}
    for clip in merged:
        # Its input is integer in the same steps: whoever reads the clip may read that.
        replace(clip, clip.all_input_nodes[0])
    for name, scale in decision.tensors.items():
        if nodes[name] not in merged:
            insert_activation(nodes[name], scale, spelling.activations, io)
    for clip in clips.keys() - merged:
        replace(clip, clip.all_input_nodes[0])
    drop_unused_attributes(quantized)
    quantized.graph.lint()
    quantized.recompile()
    return quantized
