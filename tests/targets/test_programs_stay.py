"""A converter edits copies of its own: the program it is given serves the next target too."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import fx, nn

from cnn_export.job.quiet import quiet
from cnn_export.program.program import capture
from cnn_export.program.tensors import Layout
from cnn_export.targets import TARGETS, load_target
from cnn_export.targets.coreml import decomposed
from cnn_export.targets.options import TargetOptions


class _Aliased(nn.Module):
    """An alias, which Core ML's copy loses, and an image, which NHWC permutes."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.conv(image).detach() + torch.tensor(2.0)


def _state(graph_module: fx.GraphModule) -> tuple[str, dict[str, tuple[int, bytes]], list[object]]:
    stored = graph_module.state_dict(keep_vars=True)
    tensors = {name: (id(t), t.detach().numpy().tobytes()) for name, t in stored.items()}
    return str(graph_module.graph), tensors, [sorted(n.meta) for n in graph_module.graph.nodes]


@pytest.mark.parametrize(
    ("name", "layout"), [*((name, "nchw") for name in TARGETS), ("tflite", "nhwc")]
)
def test_a_target_leaves_the_program(name: str, layout: Layout, tmp_path: Path) -> None:
    program = capture(_Aliased(), [torch.randn(1, 3, 5, 9)])
    own, traced = program.graph_module, program.exported.graph_module
    signature = str(program.exported.graph_signature)
    before = _state(own), _state(traced)
    target = load_target(name)
    options = TargetOptions(layout=layout)
    with quiet():
        target.refusals(program, options)
        target.export(program, options, tmp_path / f"it{target.suffix}")
    assert (_state(own), _state(traced)) == before
    assert program.exported.graph_module is traced
    assert str(program.exported.graph_signature) == signature


def test_core_mls_copy_loses_what_the_program_keeps() -> None:
    program = capture(_Aliased(), [torch.randn(1, 3, 5, 9)])
    assert "detach" in str(program.exported.graph)
    with quiet():
        copy = decomposed.decompose(program)
    assert "detach" not in str(copy.graph)
    assert "detach" in str(program.exported.graph)
