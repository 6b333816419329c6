"""The process that loads the runtime and profiles: ``python -m …profiles.worker``.

It writes one document to ``--out``: a profile, or the protocol's ``failure``.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from cnn_export.benchmarks.artifacts.proven_file import proven_files
from cnn_export.benchmarks.cost.reading import cost_of
from cnn_export.benchmarks.machine.host_info import memory_bytes
from cnn_export.benchmarks.profiles.document import Profile
from cnn_export.benchmarks.profiles.joining import joined, sum_ns
from cnn_export.benchmarks.profiles.trace import Trace
from cnn_export.benchmarks.results.protocol import Failure
from cnn_export.benchmarks.runtimes.probe import probe_inputs, require_its_device
from cnn_export.benchmarks.runtimes.runtime_registry import (
    require_runtimes,
    runtime_of,
    runtime_version,
)
from cnn_export.benchmarks.worker import process_memory
from cnn_export.benchmarks.worker.loaded_artifact import refusing_failures
from cnn_export.errors import ExportError, InputRefused, TargetUnavailable
from cnn_export.manifest.manifest import Manifest
from cnn_export.untrusted.parent_death import end_with_parent

_MESSAGE_LENGTH = 1000
_WARM_UP_SHARE = 0.2


def main(argv: Sequence[str] | None = None) -> int:
    """Do the job; every failure is written as a document and returned as the exit code."""
    parser = argparse.ArgumentParser(prog="cnn_export.benchmarks.profiles.worker")
    parser.add_argument("artifact", type=Path)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--inferences", type=int, required=True)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args(argv)
    try:
        process_memory.bound(memory_bytes())
        found = profile(options.artifact, options.threads, options.inferences)
    except ExportError as error:
        return _fail(options.out, str(error), error.exit_code)
    except Exception as error:  # the parent must hear of every end
        words = f"internal error: {type(error).__name__}: {error}"
        return _fail(options.out, words, ExportError.exit_code)
    options.out.write_text(found.model_dump_json(), encoding="utf-8")
    return 0


def _fail(out: Path, message: str, code: int) -> int:
    failure = Failure(message=message[:_MESSAGE_LENGTH], exit_code=code)
    out.write_text(failure.model_dump_json(), encoding="utf-8")
    return code


def profile(path: Path, threads: int, inferences: int) -> Profile:
    """Profile one artifact.

    Raises:
        ExportError: as the manifest, the runtime or the cost reader raise it.
    """
    runtime = runtime_of(path)
    require_runtimes([runtime.package])
    version = runtime_version(runtime)
    ((manifest, inspection),) = proven_files([path])
    require_its_device(manifest)
    if inspection.graph is None:
        raise InputRefused(inspection.unknown or f"{path}: its operators cannot be told")
    cost = cost_of(inspection.graph, path)
    with refusing_failures(runtime.package, "profile", path):
        trace = _trace(path, manifest, (threads, inferences), version)
    ops, untimed, notes = joined(trace, cost)
    return Profile(
        artifact=path.name,
        artifact_sha256=manifest.artifact_sha256,
        runtime=runtime.package,
        runtime_version=version,
        threads=threads,
        inferences=len(trace.events[0].samples_ns) if trace.events else inferences,
        sum_ns=sum_ns(trace),
        profiled_ns=_median(trace.profiled_ns),
        plain_ns=_median(trace.plain_ns),
        ops=ops,
        untimed=untimed,
        notes=[*trace.notes, *notes],
    )


def _trace(path: Path, manifest: Manifest, amounts: tuple[int, int], version: str) -> Trace:
    threads, inferences = amounts
    warm_up = max(3, round(_WARM_UP_SHARE * inferences))
    match path.suffix:
        case ".onnx":
            from cnn_export.benchmarks.profiles.readers import onnxruntime_trace

            inputs = probe_inputs(manifest)
            return onnxruntime_trace.trace(path, manifest, inputs, threads, inferences, warm_up)
        case ".tflite":
            from cnn_export.benchmarks.profiles.readers import litert_trace

            inputs = probe_inputs(manifest)
            return litert_trace.trace(path, manifest, inputs, threads, inferences, warm_up, version)
        case ".pte":
            raise TargetUnavailable(
                f"the wheel of executorch {version} is built without its event tracer and cannot"
                f" profile {path}; profile the network's .tflite or .onnx"
            )
        case _:
            raise InputRefused(f"{path}: no runtime of this host profiles {path.suffix}")


def _median(times: Sequence[int]) -> float | None:
    return float(np.median(times)) if times else None


if __name__ == "__main__":
    end_with_parent()
    sys.exit(main())
