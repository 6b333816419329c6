"""LiteRT's own profiler: one event per XNNPACK operator or kernel, whole microseconds."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from cnn_export.benchmarks.profiles.readers.litert_library import ProfiledModel, ProfilerEvent
from cnn_export.benchmarks.profiles.trace import Trace, transposed
from cnn_export.benchmarks.runtimes.litert_runtime import LiteRT
from cnn_export.benchmarks.runtimes.probe import Array, require_probe_outputs
from cnn_export.manifest.manifest import Manifest

_KERNEL = 2
_DELEGATE_OPERATORS = (4, 8)
"""Event types of TFLite's profiler interface."""
NOTES = (
    "LiteRT's profiler counts whole microseconds and drops the rest: operators below 1 µs show "
    "as 0, and the sum is too small by about half a microsecond per operator.",
    "It profiles LiteRT's compiled model, the only one of the wheel's two interfaces that has a "
    "profiler; the time without it is that of the interpreter, which cnn-bench run measures.",
)


def trace(
    path: Path,
    manifest: Manifest,
    inputs: dict[str, Array],
    threads: int,
    inferences: int,
    warm_up: int,
    version: str,
) -> Trace:
    """Run with the profiler on, and the interpreter without one, interleaved.

    Raises:
        ParityError: the outputs are not the manifest's.
        TargetUnavailable: this version's profiler has no known interface.
        InputRefused: the library refuses the file.
    """
    names = [output.name for output in manifest.outputs]
    plain = LiteRT().load(path, inputs, names, threads)
    profiled = ProfiledModel(path, threads, version)
    profiled.write(list(inputs.values()))
    plain.infer()
    profiled.infer()
    _require_outputs(manifest, profiled, plain.outputs())
    runs: list[list[tuple[str, str, int]]] = []
    walls: list[tuple[int, int]] = []
    for _ in range(warm_up + inferences):
        own, events = _profiled_ns(profiled)
        start = time.perf_counter_ns()
        plain.infer()
        walls.append((own, time.perf_counter_ns() - start))
        runs.append(operators(events))
    kept = walls[-inferences:]
    return Trace(
        events=transposed(runs[-inferences:]),
        profiled_ns=tuple(own for own, _ in kept),
        plain_ns=tuple(other for _, other in kept),
        notes=NOTES,
    )


def _require_outputs(manifest: Manifest, profiled: ProfiledModel, likes: dict[str, Array]) -> None:
    # The manifest's order is the signature's, which is the subgraph's in the exporter's files.
    values = {
        output.name: np.array(profiled.read(index, likes[output.name]))
        for index, output in enumerate(manifest.outputs)
    }
    require_probe_outputs(manifest, values)


def _profiled_ns(model: ProfiledModel) -> tuple[int, list[ProfilerEvent]]:
    model.start()
    start = time.perf_counter_ns()
    model.infer()
    took_ns = time.perf_counter_ns() - start
    return took_ns, model.stop()


def operators(events: Sequence[ProfilerEvent]) -> list[tuple[str, str, int]]:
    """Return (name, kind, ns) of each operator, in the order they ran.

    The kernel event of a whole delegate is left out where the delegate's operators are there.
    """
    inner = any(event.type in _DELEGATE_OPERATORS for event in events)
    return [
        (f"{kind} #{event.index}", kind, 1000 * int(event.elapsed_us))
        for event in events
        for kind in [event.tag.decode(errors="replace")]
        if event.type in _DELEGATE_OPERATORS
        or (event.type == _KERNEL and not (inner and "delegate" in kind.lower()))
    ]
