"""What is measured of the reparameterization, and the fresh processes that measure it.

Torch-free: torch loads in the workers (:mod:`cnn_export.benchmarks.studies.reparam.worker`).
"""

from __future__ import annotations

import dataclasses
import json
import math
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from typing import Any

from cnn_export.benchmarks.studies.summary import Spread
from cnn_export.errors import ExportError

NETWORKS = (
    *("mobileone_s0", "mobileone_s4", "repvgg_a0", "repvgg_d2se", "fastvit_t8", "repvit_m1"),
    *("ghostnetv3_100", "repghostnet_100", "resnetv2_50", "densenet121"),
)
"""timm's names of networks with branches, pre-activation or dense connections."""

FORMS = ("naive", "ours", "timm")
"""A network as it was built, after this stage, and after timm's own fusion."""

STAGE_LIMITS_S = {"mobilenetv3_large_100": 3.0, "mobileone_s0": 8.0, "densenet121": 8.0}
PEAK_LIMIT = 4.0
"""Limits of the project's plan: seconds of the stage, and its peak memory over the network's."""

CHAIN_NODES = (100, 300, 1000, 3000)
_WORKER = "cnn_export.benchmarks.studies.reparam.worker"
_LOG_BYTES = 300


@dataclasses.dataclass(frozen=True)
class Counts:
    """What a graph holds: operators of two kinds, multiply-accumulates, elements."""

    conv2d: int
    batch_norms: int
    macs: int
    parameters: int


@dataclasses.dataclass(frozen=True)
class StageCost:
    """One run of the stage, proof included.

    ``network_bytes`` are the parameters and all activations of one image in float32.
    ``peak_bytes`` is how far the resident set rose above where the stage began.
    """

    nodes: int
    seconds: float
    cpu_seconds: float
    peak_bytes: int
    network_bytes: int
    rounds: int
    relative_error: float

    @property
    def peak_ratio(self) -> float:
        """Peak memory as a multiple of the network's."""
        return self.peak_bytes / self.network_bytes


@dataclasses.dataclass(frozen=True)
class Timing:
    """One form in one runtime: nanoseconds per turn, and how often it fits into the naive one."""

    network: str
    target: str
    form: str
    turns_ns: Spread
    speedup: Spread


def counts_of(network: str) -> dict[str, Counts | None]:
    """Return the counts of each form; ``None`` where timm has no fusion of its own for it."""
    found = _ask("counts", network)
    return {form: None if each is None else Counts(**each) for form, each in found.items()}


def stage_cost_of(network: str) -> StageCost:
    """Run the stage once in a process of its own."""
    return StageCost(**_ask("stage", network))


def chain_costs(sizes: Sequence[int] = CHAIN_NODES) -> list[StageCost]:
    """Run the stage on residual chains of about ``sizes`` nodes, in one warm process."""
    return [StageCost(**each) for each in _ask("chains", *map(str, sizes))]


def write_artifacts(network: str, folder: str) -> list[str]:
    """Export each form to TFLite and ONNX and return the paths."""
    return list(_ask("artifacts", network, folder))


def interleave(paths: Sequence[str], rounds: int, min_time_s: float) -> dict[str, list[float]]:
    """Return, per artifact, the median nanoseconds of each of its turns, one per round."""
    return dict(_ask("time", str(rounds), str(min_time_s), *paths))


def growth_exponent(sizes: Sequence[float], costs: Sequence[float]) -> float:
    """Return ``e`` of the least-squares fit ``cost = c · size^e``.

    Raises:
        ValueError: fewer than two different sizes.
    """
    points = [(math.log(a), math.log(b)) for a, b in zip(sizes, costs, strict=True)]
    if len(set(sizes)) < 2:
        raise ValueError("a growth needs at least two sizes")
    mean_x = sum(x for x, _ in points) / len(points)
    mean_y = sum(y for _, y in points) / len(points)
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / spread


def _ask(*arguments: str) -> Any:
    """Run one job in a fresh process and return the JSON of its last line."""
    command = [sys.executable, "-m", _WORKER, *arguments]
    with tempfile.TemporaryFile() as log:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=log, check=False)
        if done.returncode != 0:
            log.seek(0)
            words = " ".join(log.read()[-_LOG_BYTES:].decode(errors="replace").split())
            raise ExportError(f"{' '.join(arguments[:2])} ended with {done.returncode}: …{words}")
    return json.loads(done.stdout.splitlines()[-1])
