"""Costs of the files at some paths, and of what was read of one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cnn_export.artifact_files.formats import refusing_whatever_happens
from cnn_export.artifact_files.inspection import read_graphs
from cnn_export.artifact_files.op_graph import OpGraph
from cnn_export.benchmarks.cost.accounting import account
from cnn_export.benchmarks.cost.artifact_cost import ArtifactCost
from cnn_export.errors import InputRefused
from cnn_export.proof.tolerances import EXACT_MAX


def read_costs(paths: Sequence[Path]) -> list[ArtifactCost]:
    """Return the cost of each artifact, read from its file alone.

    Raises:
        InputRefused: no such file, a foreign file type, or a damaged, truncated or incomplete
            artifact, or one that cannot be read within limits; names the file and what to do.
        TargetUnavailable: what reads the format is not installed; holds the install line.
    """
    return [cost_of(graph, path) for graph, path in zip(read_graphs(paths), paths, strict=True)]


def cost_of(graph: OpGraph, path: Path) -> ArtifactCost:
    """Return the cost of the operators that were read from ``path``.

    Raises:
        InputRefused: they make no sense together, or figures are larger than JSON keeps exactly.
    """
    with refusing_whatever_happens(path):
        cost = account(graph, path.name)
        totals = (cost.counted_macs, cost.mac_bytes, cost.weight_bytes, cost.peak_activation_bytes)
        if max(totals) > EXACT_MAX or min(totals) < 0:  # neither results nor manifests hold more
            raise InputRefused("its sizes make no sense together; export it again")
        return cost
