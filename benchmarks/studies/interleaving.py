"""Time artifacts in one process, interleaved inference by inference.

Run as ``python -m cnn_export.benchmarks.studies.interleaving ROUNDS SEED INPUT SHAPE ARTIFACT…``;
prints nanoseconds per artifact as JSON. Whatever slows the machine for longer than one inference
falls on all artifacts alike, and what is counted is the process's own CPU time (all runtimes have
one thread): ratios then tell differences of a percent apart even on a busy host. Never loads torch,
except for ExecuTorch.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from cnn_export.benchmarks.run.plan import interleaved
from cnn_export.benchmarks.runtimes.runtime_registry import runtime_of
from cnn_export.benchmarks.worker.timing_loop import no_collections

WARM_UP_ROUNDS = 5
_THREADS = 1


def interleave(
    paths: Sequence[Path], name: str, shape: Sequence[int], rounds: int, seed: int
) -> dict[str, list[int]]:
    """Return nanoseconds of CPU of ``rounds`` inferences per artifact, by file name.

    Each round runs every artifact once, in an order of its own. The input ``name`` is standard
    normal float32 of ``shape``.
    """
    image = np.random.default_rng(seed).standard_normal(tuple(shape), dtype=np.float32)
    models = {p: runtime_of(p).load(p, {name: image}, (), _THREADS) for p in paths}
    samples: dict[str, list[int]] = {path.name: [] for path in paths}
    with no_collections():
        for turn, path in enumerate(interleaved(paths, WARM_UP_ROUNDS + rounds, seed)):
            start = time.process_time_ns()
            models[path].infer()
            elapsed = time.process_time_ns() - start
            if turn >= WARM_UP_ROUNDS * len(paths):
                samples[path.name].append(elapsed)
    return samples


def main(argv: Sequence[str] | None = None) -> int:
    """Time and print."""
    rounds, seed, name, shape, *paths = sys.argv[1:] if argv is None else argv
    sizes = [int(size) for size in shape.split("x")]
    samples = interleave([Path(path) for path in paths], name, sizes, int(rounds), int(seed))
    sys.stdout.write(json.dumps(samples) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
