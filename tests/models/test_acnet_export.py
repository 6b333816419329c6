"""What trained with asymmetric blocks deploys as the plain network it came from."""

from __future__ import annotations

from collections import Counter

import torch
from networks import seeded
from torch import fx, nn
from torchvision import models

from cnn_export.models.parts.acb_convert import acb_convert
from cnn_export.program.program import capture
from cnn_export.reparam import Report, reparameterize_graph


def after_the_stage(network: nn.Module, image: torch.Tensor) -> tuple[fx.GraphModule, Report]:
    graph_module = capture(seeded(network), (image,)).graph_module
    return graph_module, reparameterize_graph(graph_module)


def operators(graph_module: fx.GraphModule) -> Counter[str]:
    return Counter(str(n.target) for n in graph_module.graph.nodes if n.op == "call_function")


def test_blocks_leave_no_trace_in_the_graph():
    image = torch.randn(1, 3, 49, 40)
    plain, plain_report = after_the_stage(models.resnet18(num_classes=3), image)
    network = acb_convert(models.resnet18(num_classes=3))
    converted, report = after_the_stage(network, image)
    assert operators(converted) == operators(plain)
    assert report.after == plain_report.after  # operators, parameters, bytes, macs
    assert report.before.macs > report.after.macs
    with torch.no_grad():
        expected = network(image)
        torch.testing.assert_close(converted(image)[0], expected, rtol=1e-3, atol=1e-4)
