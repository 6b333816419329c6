"""The one form that int8 has for all formats."""

import torch
from torch import nn
from torch.nn import functional as F

from cnn_export.job.legalization import legalize
from cnn_export.program.program import capture
from cnn_export.reparam import reparameterize_graph
from cnn_export.reparam.graph.operators import operator_name
from cnn_export.targets import TARGETS
from cnn_export.targets.legalizations import INT8


class _Net(nn.Module):
    """A partial shortcut, a gate by a hard sigmoid, a padded max pool and an average pool."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.block = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.gate, self.head = nn.Conv2d(8, 8, 1), nn.Conv2d(8, 4, 1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        x = F.max_pool2d(F.relu(self.stem(image)), 3, 2, 1)
        y = self.block(x)
        y[:, :4] += x[:, :4]
        y = y * F.hardsigmoid(self.gate(y.mean((2, 3), keepdim=True)))
        return self.head(F.avg_pool2d(y, 2))


def test_all_formats_share_one_graph_of_what_is_integer_everywhere() -> None:
    torch.manual_seed(4)
    program = capture(_Net().eval(), (torch.randn(1, 3, 15, 22),))
    reparameterize_graph(program.graph_module)
    made = legalize(program, dict.fromkeys(TARGETS, INT8), "int8")
    (shared,) = {id(each.program): each.program for each in made.values()}.values()
    names = [name for node in shared.graph_module.graph.nodes if (name := operator_name(node))]
    assert not {"hardsigmoid", "avg_pool2d"} & set(names)
    assert names.count("cat") == 1
    assert names.count("conv2d") == 5
    assert names[names.index("max_pool2d") - 1] == "pad"
    assert "hardtanh" in names
