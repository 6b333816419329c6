"""ONNX Runtime's own profiler: one event per node of its optimized graph, whole microseconds."""

from __future__ import annotations

import dataclasses
import json
import tempfile
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cnn_export.artifact_files.onnx.reader import node_names
from cnn_export.benchmarks.profiles.readers.onnx_regions import Region, regions
from cnn_export.benchmarks.profiles.trace import Event, Trace, transposed
from cnn_export.benchmarks.runtimes.probe import Array, require_probe_outputs
from cnn_export.manifest.manifest import Manifest
from cnn_export.targets.onnx.runtime import import_onnxruntime

_NODE_SUFFIX = "_kernel_time"
_RUN_EVENT = "model_run"
RESOLUTION_NOTE = "ONNX Runtime's profiler counts whole microseconds; shorter operators round to 0."


def trace(
    path: Path,
    manifest: Manifest,
    inputs: dict[str, Array],
    threads: int,
    inferences: int,
    warm_up: int,
) -> Trace:
    """Run with the profiler on and off, interleaved, and read what the profiler wrote.

    Raises:
        ParityError: the outputs are not the manifest's.
        ValueError: the profile cannot be read.
    """
    with tempfile.TemporaryDirectory() as folder:
        profiled = _session(path, threads, Path(folder))
        plain = _session(path, threads, None)
        outputs = profiled.run(None, inputs)
        names = [output.name for output in profiled.get_outputs()]
        require_probe_outputs(manifest, dict(zip(names, outputs, strict=True)))
        walls: list[tuple[int, int]] = []
        for _ in range(warm_up + inferences):
            walls.append((_wall_ns(profiled, inputs), _wall_ns(plain, inputs)))
        events = json.loads(Path(profiled.end_profiling()).read_bytes())
        runs = split_runs(events)[-inferences:]
        found = _regions(path, Path(folder) / "optimized.onnx")
    kept = walls[-inferences:]
    return Trace(
        events=covered(transposed(runs), found),
        profiled_ns=tuple(own for own, _ in kept),
        plain_ns=tuple(other for _, other in kept),
        notes=(RESOLUTION_NOTE,),
    )


def split_runs(events: Sequence[Any]) -> list[list[tuple[str, str, int]]]:
    """Return (node, operator, ns) of each inference, from the profile's events in their order.

    An inference's nodes come before the event of the whole run.

    Raises:
        ValueError: it holds no inference.
    """
    runs: list[list[tuple[str, str, int]]] = [[]]
    for event in events:
        name = str(event["name"])
        if event["cat"] == "Node" and name.endswith(_NODE_SUFFIX):
            kind = str(event["args"]["op_name"])
            runs[-1].append((name.removesuffix(_NODE_SUFFIX), kind, 1000 * int(event["dur"])))
        elif event["cat"] == "Session" and name == _RUN_EVENT:
            runs.append([])
    finished = runs[:-1]
    if not finished:
        raise ValueError("ONNX Runtime's profile holds no inference")
    return finished


def _session(path: Path, threads: int, profile_folder: Path | None) -> Any:
    ort = import_onnxruntime()

    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    if profile_folder is not None:
        options.enable_profiling = True
        options.profile_file_prefix = str(profile_folder / "profile")
        options.optimized_model_filepath = str(profile_folder / "optimized.onnx")
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _wall_ns(session: Any, inputs: dict[str, Array]) -> int:
    start = time.perf_counter_ns()
    session.run(None, inputs)
    return time.perf_counter_ns() - start


def _regions(path: Path, optimized: Path) -> list[Region]:
    import onnx

    original = onnx.load(str(path), load_external_data=False)
    rewritten = onnx.load(str(optimized), load_external_data=False)
    nodes = original.graph.node
    names = {
        index: name
        for index, (name, node) in enumerate(zip(node_names(nodes), nodes, strict=True))
        if node.op_type != "Constant"
    }
    return regions(rewritten, original, names)


def covered(events: Sequence[Event], found: Sequence[Region]) -> tuple[Event, ...]:
    """Return the events with what they cover.

    A node without a name gets one in the session only; those of a kind are told by their order.
    """
    queues: dict[tuple[str, str], deque[Region]] = {}
    for region in found:
        queues.setdefault((region.name, region.kind), deque()).append(region)
    return tuple(dataclasses.replace(event, covers=_next_covers(queues, event)) for event in events)


def _next_covers(queues: dict[tuple[str, str], deque[Region]], event: Event) -> tuple[str, ...]:
    for key in ((event.name, event.kind), ("", event.kind)):
        if queues.get(key):
            return queues[key].popleft().covers
    return ()
