"""Our clock beside the runtimes' own timers, interleaved in one process.

What the wheels offer: ONNX Runtime's profiler times each ``run`` (``model_run``), so both clocks
take the very same inference. LiteRT's wheel holds its benchmark tool, whose loop over
``CompiledModel`` prints a median in hundredths of a millisecond, so its blocks and ours take
turns. ExecuTorch's wheel is built without its event tracer and has no timer: torch's benchmark
timer takes its place, inference by inference. Run as
``python -m cnn_export.benchmarks.studies.own_loops ARTIFACT``; prints both medians and the median
ratio of neighbours as JSON. Loads torch for ``.pte``.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from cnn_export.benchmarks.runtimes.contract import Model
from cnn_export.benchmarks.runtimes.probe import probe_inputs
from cnn_export.benchmarks.runtimes.runtime_registry import runtime_of
from cnn_export.benchmarks.statistics.comparison import process_ratio
from cnn_export.manifest.manifest import manifest_path, read_manifest
from cnn_export.targets.onnx.runtime import import_onnxruntime

INFERENCES = 300
BLOCKS = 20
_WARM_UP = 10
_NS_PER_S = 1e9
_NS_PER_MS = 1e6
_NS_PER_US = 1e3

Times = tuple[list[float], list[float]]
"""Nanoseconds by our clock, and by the other loop."""


def both_times(path: Path) -> Times:
    """Time one artifact by both loops.

    The lists hold single inferences, or medians of blocks where that is all the tool tells.
    """
    return _LOOPS[path.suffix](path)


def _onnxruntime(path: Path) -> Times:
    ort = import_onnxruntime()

    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.enable_profiling = True
    with tempfile.TemporaryDirectory() as folder:
        options.profile_file_prefix = str(Path(folder) / "profile")
        session: Any = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        inputs = probe_inputs(read_manifest(manifest_path(path)))
        ours = [_timed(lambda: session.run(None, inputs)) for _ in range(_WARM_UP + INFERENCES)]
        events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    theirs = [each["dur"] * _NS_PER_US for each in events if each["name"] == "model_run"]
    return ours[_WARM_UP:], theirs[_WARM_UP:]


def _litert(path: Path) -> Times:
    model = _loaded(path)
    times: Times = ([], [])
    for _ in range(BLOCKS):
        each = INFERENCES // BLOCKS
        block = [_timed(model.infer) for _ in range(_WARM_UP + each)]
        times[0].append(statistics.median(block[_WARM_UP:]))
        times[1].append(_vendor_median_ns(path, each))
    return times


def _vendor_median_ns(path: Path, inferences: int) -> float:
    from ai_edge_litert.tools import benchmark_litert_model as vendor

    arguments = ["", f"--model={path}", f"--num_runs={inferences}", f"--warmup_runs={_WARM_UP}"]
    before, sys.argv = sys.argv, [*arguments, "--num_threads=1"]
    try:
        with contextlib.redirect_stdout(sys.stderr):
            found: dict[str, Any] = vendor.run_benchmark(vendor.parse_args())
    finally:
        sys.argv = before
    return float(found["latency"]["median_ms"]) * _NS_PER_MS


def _executorch(path: Path) -> Times:
    model = _loaded(path)
    from torch.utils.benchmark import Timer

    timer: Any = Timer("infer()", globals={"infer": model.infer})
    times: Times = ([], [])
    for turn in range(_WARM_UP + INFERENCES):
        ours, theirs = _timed(model.infer), float(timer.timeit(1).mean) * _NS_PER_S
        if turn >= _WARM_UP:
            times[0].append(ours)
            times[1].append(theirs)
    return times


def _loaded(path: Path) -> Model:
    manifest = read_manifest(manifest_path(path))
    names = [output.name for output in manifest.outputs]
    return runtime_of(path).load(path, probe_inputs(manifest), names, 1)


def _timed(infer: Callable[[], object]) -> float:
    start = time.perf_counter_ns()
    infer()
    return float(time.perf_counter_ns() - start)


_LOOPS: dict[str, Callable[[Path], Times]] = {
    ".onnx": _onnxruntime,
    ".tflite": _litert,
    ".pte": _executorch,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Time and print."""
    parser = argparse.ArgumentParser(prog="cnn_export.benchmarks.studies.own_loops")
    parser.add_argument("artifact", type=Path)
    ours, theirs = both_times(parser.parse_args(argv).artifact)
    document = {
        "ours_ns": statistics.median(ours),
        "theirs_ns": statistics.median(theirs),
        "ratio": process_ratio(theirs, ours),
    }
    sys.stdout.write(json.dumps(document) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
