"""MobileNeXt with its shortcut in every form that could be exported, as artifacts.

Run as ``python -m cnn_export.benchmarks.studies.identity_variants FOLDER WIDTH TARGET…``. Torch
loads inside the calls.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

NO_SHORTCUT = "none"
FULL = "full"
EXPORTED = "exported"
VARIANTS = (NO_SHORTCUT, FULL, "slices", "pad", "masked", "carried", EXPORTED)
"""No shortcut, all channels, and half of them: as slice-add-concat, padded, as a masked whole,
carried in parts, and in the form that the target's exports have."""

INPUT_SHAPE = (1, 3, 224, 224)
_SEED = 2020
_IMAGES = 4


def program(variant: str, width: float, target: str) -> Any:
    """Return the captured and reparameterized network of one variant for one target."""
    import torch

    from cnn_export.program.program import capture
    from cnn_export.reparam import reparameterize_graph

    captured = capture(_network(width), (torch.randn(INPUT_SHAPE),))
    graph_module = captured.graph_module
    _set_shortcuts(graph_module, variant)
    reparameterize_graph(graph_module, prove_equal=False)
    if variant == "pad":
        _pad(graph_module)
    reparameterize_graph(graph_module, _passes(variant, target), prove_equal=False)
    return captured.with_graph(graph_module)


def _network(width: float) -> Any:
    """Return the network with drawn weights, its batch norms holding statistics of noise.

    Without these a network that has no shortcuts fades into numbers so small that processors take
    five times as long over them.
    """
    import torch

    from cnn_export.models.families.mobilenext import mobilenext

    torch.manual_seed(_SEED)
    network = mobilenext(width)
    for layer in network.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.momentum = None
    with torch.no_grad():
        network.train()(torch.randn(_IMAGES, *INPUT_SHAPE[1:]))
    return network.eval()


def _set_shortcuts(graph_module: Any, variant: str) -> None:
    from fractions import Fraction

    from cnn_export.reparam.passes.partial_shortcuts.approximate_shortcuts import (
        drop_shortcuts,
        shorten_shortcuts,
    )

    if variant == NO_SHORTCUT:
        drop_shortcuts(graph_module)
    else:
        shorten_shortcuts(graph_module, Fraction(1) if variant == FULL else Fraction(1, 2))


def _passes(variant: str, target: str) -> list[Any]:
    from cnn_export.reparam.passes.partial_shortcuts.carry_split import CarrySplit
    from cnn_export.reparam.passes.partial_shortcuts.mask_partial_shortcuts import (
        MaskPartialShortcuts,
    )
    from cnn_export.targets import load_target

    if variant == EXPORTED:
        return [entry.program_pass for entry in load_target(target).legalization.passes]
    return {"carried": [CarrySplit()], "masked": [MaskPartialShortcuts()]}.get(variant, [])


def _pad(graph_module: Any) -> None:
    """Spell ``cat([y[:, :k] + x[:, :k], y[:, k:]], 1)`` as ``y + pad(x[:, :k])``."""
    import torch

    from cnn_export.reparam.graph.channel_ranges import channels, insert_slice
    from cnn_export.reparam.graph.surgery import insert_call, replace
    from cnn_export.reparam.passes.partial_shortcuts.partial_shortcut import read_partial_shortcut

    graph = graph_module.graph
    for node in list(graph.nodes):
        found = read_partial_shortcut(node)
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
    from cnn_export.targets.options import TargetOptions

    for name in targets:
        for variant in VARIANTS:
            path = folder / f"{variant}{TARGETS[name].suffix}"
            load_target(name).export(program(variant, width, name), TargetOptions(), path)


def main(argv: Sequence[str] | None = None) -> int:
    """Write the artifacts."""
    folder, width, *targets = sys.argv[1:] if argv is None else argv
    write_variants(Path(folder), float(width), targets)
    return 0


if __name__ == "__main__":
    sys.exit(main())
