"""Measure this host's float32 peaks: a matrix product and a scaled sum of arrays.

Run as a module it is the measuring process itself: the number of BLAS threads can only be set
before numpy is loaded, so :func:`measure_peaks` starts it with the environment for that.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

from cnn_export.benchmarks.cost.roofline import Peaks
from cnn_export.errors import ExportError

_SIDE = 1024
"""Of the square matrices; 12 MiB in all, so the product is bound by arithmetic."""
_ELEMENTS = 2**25
"""Of each array; 128 MiB, beyond the caches of most hosts."""
_SECONDS = 1.0
_ROUNDS_MIN = 5
_THREAD_VARIABLES = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
_TIMEOUT_S = 120
ARITHMETIC_KERNEL = f"numpy float32 matrix product, {_SIDE}³, best of {_SECONDS:.0f} s"
BANDWIDTH_KERNEL = (
    f"numpy float32 triad a = s·b + c over {_ELEMENTS * 4 // 2**20} MiB arrays in two passes, "
    f"5 arrays moved, best of {_SECONDS:.0f} s"
)


def measure_peaks(threads: int) -> Peaks:
    """Return this host's peaks with ``threads`` threads; takes a few seconds.

    Raises:
        ExportError: the measuring process failed.
    """
    environment = os.environ | dict.fromkeys(_THREAD_VARIABLES, str(threads))
    command = [sys.executable, "-m", "cnn_export.benchmarks.cost.host_peaks", str(threads)]
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, timeout=_TIMEOUT_S, check=True
        )
        figures: dict[str, float] = json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise ExportError(
            f"measuring this host's peaks failed ({type(error).__name__}); leave --roofline out"
        ) from error
    return Peaks(
        macs_per_s=figures["macs_per_s"],
        bytes_per_s=figures["bytes_per_s"],
        threads=threads,
        arithmetic_kernel=ARITHMETIC_KERNEL,
        bandwidth_kernel=BANDWIDTH_KERNEL,
    )


def _arithmetic_peak() -> float:
    import numpy as np

    generator = np.random.default_rng(0)
    left, right = (generator.random((_SIDE, _SIDE), dtype=np.float32) for _ in range(2))
    result = np.empty_like(left)
    seconds = _best_seconds(lambda: np.matmul(left, right, out=result))
    return _SIDE**3 / seconds


def _bandwidth_peak(threads: int) -> float:
    from concurrent.futures import ThreadPoolExecutor

    import numpy as np

    # Written to, so that every page of memory is its own.
    arrays = [np.full(_ELEMENTS, value, np.float32) for value in (0.0, 1.0, 2.0)]
    parts = list(zip(*(np.array_split(array, threads) for array in arrays), strict=True))

    def triad(part: tuple[Any, ...]) -> None:
        result, scaled, added = part
        np.multiply(scaled, np.float32(3.0), out=result)
        np.add(result, added, out=result)

    with ThreadPoolExecutor(threads) as pool:
        seconds = _best_seconds(lambda: list(pool.map(triad, parts)))
    return 5 * 4 * _ELEMENTS / seconds


def _best_seconds(work: Callable[[], object]) -> float:
    """Return the fastest of the rounds: a peak is what was reached, not what is usual."""
    work()
    best, spent, rounds = float("inf"), 0.0, 0
    while spent < _SECONDS or rounds < _ROUNDS_MIN:
        start = time.perf_counter()
        work()
        took = time.perf_counter() - start
        best, spent, rounds = min(best, took), spent + took, rounds + 1
    return best


if __name__ == "__main__":
    json.dump(
        {"macs_per_s": _arithmetic_peak(), "bytes_per_s": _bandwidth_peak(int(sys.argv[1]))},
        sys.stdout,
    )
