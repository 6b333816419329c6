"""Seconds and peak memory of the stage. Loads torch: for workers only."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import fx
from torch.utils import _pytree as pytree

from cnn_export.benchmarks.studies.reparam.jobs import StageCost
from cnn_export.benchmarks.studies.reparam.networks import Chain, build
from cnn_export.errors import ExportError
from cnn_export.program.program import capture
from cnn_export.reparam import reparameterize_graph
from cnn_export.reparam.cost import measure

_KIBIBYTE = 1024
_RESET_PEAK = "5"
_NODES_PER_BLOCK = 9


def stage_of_network(name: str) -> StageCost:
    """Measure the stage on one of timm's networks."""
    module, image = build(name)
    return measure_stage(capture(module, (image,)).graph_module)


def stage_of_chains(sizes: Sequence[int]) -> list[StageCost]:
    """Measure chains of about ``sizes`` nodes, after a small one that warms everything up."""
    image = torch.randn(1, 4, 12, 10)
    costs: list[StageCost] = []
    for size in (min(sizes), *sizes):
        torch.manual_seed(0)
        chain = Chain(max(1, size // _NODES_PER_BLOCK)).eval()
        costs.append(measure_stage(capture(chain, (image,)).graph_module))
    return costs[1:]


def measure_stage(graph_module: fx.GraphModule) -> StageCost:
    """Run the stage, proof included, and return what it took."""
    nodes = len(graph_module.graph.nodes)
    network_bytes = measure(graph_module).parameter_bytes + _activation_bytes(graph_module)
    _reset_peak()
    before = _status_bytes("VmRSS")
    start, cpu_start = time.perf_counter(), time.process_time()
    report = reparameterize_graph(graph_module)
    seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu_start
    if report.proof is None:
        raise ExportError("the stage ran without its proof")
    return StageCost(
        nodes=nodes,
        seconds=seconds,
        cpu_seconds=cpu_seconds,
        peak_bytes=_status_bytes("VmHWM") - before,
        network_bytes=network_bytes,
        rounds=report.rounds,
        relative_error=report.proof.relative_error,
    )


def _activation_bytes(graph_module: fx.GraphModule) -> int:
    """Return the bytes of every node's result at the traced batch, as if all were kept."""
    return sum(
        value.nbytes
        for node in graph_module.graph.nodes
        if node.op in ("placeholder", "call_function")
        for value in pytree.tree_leaves(node.meta.get("val"))
        if isinstance(value, torch.Tensor)
    )


def _reset_peak() -> None:
    """Let the kernel count this process's peak afresh (Linux)."""
    Path("/proc/self/clear_refs").write_text(_RESET_PEAK, encoding="ascii")


def _status_bytes(field: str) -> int:
    """Return a size of ``/proc/self/status``.

    Raises:
        ExportError: this is no Linux.
    """
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * _KIBIBYTE
    raise ExportError(f"the kernel does not tell {field}; measure memory on Linux")
