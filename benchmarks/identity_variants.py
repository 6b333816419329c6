"""MobileNeXt with its shortcut in every form that could be exported, as artifacts.

Run as ``python -m cnn_export.benchmarks.identity_variants FOLDER WIDTH TARGET…``. Torch loads
inside the calls.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

NO_SHORTCUT = "none"
FULL = "full"
VARIANTS = (NO_SHORTCUT, FULL, "slices", "pad", "carried")
"""No shortcut, all channels, and half of them as slice-add-concat, padded, and carried in parts."""

INPUT_SHAPE = (1, 3, 224, 224)
_SEED = 2020


def program(variant: str, width: float) -> Any:
    """Return the captured and reparameterized network of one variant."""
    from fractions import Fraction

    import torch

    from cnn_export.models.mobilenext import mobilenext
    from cnn_export.program import capture
    from cnn_export.reparam import reparameterize_graph
    from cnn_export.reparam.order import DEFAULT_PASSES
    from cnn_export.reparam.partial_identity import drop_shortcuts, shorten_shortcuts

    torch.manual_seed(_SEED)
    network = mobilenext(width).eval()
    captured = capture(network, (torch.randn(INPUT_SHAPE),))
    graph_module = captured.graph_module
    if variant == NO_SHORTCUT:
        drop_shortcuts(graph_module)
    else:
        shorten_shortcuts(graph_module, Fraction(1) if variant == FULL else Fraction(1, 2))
    carried = variant == "carried"
    passes = [each for each in DEFAULT_PASSES if carried or each.name != "CarrySplit"]
    reparameterize_graph(graph_module, passes, prove_equal=False)
    if variant == "pad":
        _pad(graph_module)
    return captured.with_graph(graph_module)


def _pad(graph_module: Any) -> None:
    """Spell ``cat([y[:, :k] + x[:, :k], y[:, k:]], 1)`` as ``y + pad(x[:, :k])``."""
    import torch

    from cnn_export.reparam.channel_ranges import channels, insert_slice
    from cnn_export.reparam.partial_sum import read_partial_sum
    from cnn_export.reparam.surgery import insert_call, replace

    graph = graph_module.graph
    for node in list(graph.nodes):
        found = read_partial_sum(node)
        if found is None:
            continue
        (addend,) = found.addends
        rest = (channels(node) or 0) - addend.stop
        values = insert_slice(addend.values, before=node, like=node)
        widths = [0, 0, 0, 0, addend.start, rest]
        aten = torch.ops.aten
        padded = insert_call(graph, aten.pad.default, (values, widths), before=node, like=node)
        total = insert_call(graph, aten.add.Tensor, (found.base, padded), before=node, like=node)
        replace(node, total)
    graph.eliminate_dead_code()
    graph_module.recompile()


def write_variants(folder: Path, width: float, targets: Sequence[str]) -> None:
    """Write ``VARIANT.SUFFIX`` for every variant and target."""
    from cnn_export.targets import TARGETS, load_target
    from cnn_export.targets.base import TargetOptions

    for variant in VARIANTS:
        built = program(variant, width)
        for name in targets:
            path = folder / f"{variant}{TARGETS[name].suffix}"
            load_target(name).export(built, TargetOptions(), path)


def main(argv: Sequence[str] | None = None) -> int:
    """Write the artifacts."""
    folder, width, *targets = sys.argv[1:] if argv is None else argv
    write_variants(Path(folder), float(width), targets)
    return 0


if __name__ == "__main__":
    sys.exit(main())
