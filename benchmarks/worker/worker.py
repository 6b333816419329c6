"""One process: load one artifact or two, check them against their manifests, measure, report.

Run as ``python -m cnn_export.benchmarks.worker.worker ARTIFACT [ARTIFACT_B] --min-time-s 0.5``;
what it writes is described in :mod:`cnn_export.benchmarks.results.protocol`. Two artifacts
are interleaved.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from cnn_export.benchmarks.machine.host_info import memory_bytes
from cnn_export.benchmarks.results.protocol import (
    End,
    Failure,
    MemoryUse,
    Message,
    PairSample,
    Sample,
)
from cnn_export.benchmarks.runtimes.runtime_arguments import parse_arguments
from cnn_export.benchmarks.runtimes.runtime_registry import runtime_of
from cnn_export.benchmarks.worker import process_memory
from cnn_export.benchmarks.worker.loaded_artifact import load_checked, refusing_failures
from cnn_export.benchmarks.worker.timing_loop import Timed, timed_inferences, timed_pairs
from cnn_export.errors import ExportError, UsageError
from cnn_export.untrusted.parent_death import end_with_parent

_MESSAGE_LENGTH = 1000
_MEMORY_INFERENCES = 3

Send = Callable[[Message], None]


def main(argv: Sequence[str] | None = None) -> int:
    """Do the job; every failure is reported as a message and as the exit code."""
    options = _parser().parse_args(argv)
    try:
        _pin(options.cpus)
        process_memory.bound(memory_bytes())
        arguments = _arguments(options)
        if options.memory:
            run_memory(options.artifacts[0], options.threads, _send, arguments)
        elif len(options.artifacts) == 1:
            run(options.artifacts[0], options.min_time_s, options.threads, _send, arguments)
        else:
            _run_pair(options, arguments)
    except ExportError as error:
        return _fail(str(error), error.exit_code)
    except Exception as error:  # the parent must hear of every end
        return _fail(f"internal error: {type(error).__name__}: {error}", ExportError.exit_code)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="cnn_export.benchmarks.worker.worker")
    parser.add_argument("artifacts", type=Path, nargs="+")
    parser.add_argument("--min-time-s", type=float, required=True)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--cpus", default="")
    parser.add_argument("--runtime-arg", action="append", default=[])
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--b-first", action="store_true")
    parser.add_argument("--block", type=int, default=1)
    return parser


def _pin(cpus: str) -> None:
    """Bind the process before any runtime starts its threads, which inherit it."""
    if not cpus:
        return
    try:
        os.sched_setaffinity(0, {int(cpu) for cpu in cpus.split(",")})
    except (AttributeError, OSError, ValueError) as error:
        raise UsageError(f"cannot bind the worker to CPUs {cpus}: {error}") from error


def _arguments(options: argparse.Namespace) -> dict[str, str]:
    packages = [runtime_of(path).package for path in options.artifacts]
    return parse_arguments(options.runtime_arg, packages)


def run(
    path: Path,
    min_time_s: float,
    threads: int,
    send: Send,
    arguments: Mapping[str, str] | None = None,
) -> None:
    """Load, check and time one artifact; samples are sent when the last one is taken.

    Raises:
        InputRefused: artifact or manifest is missing, or the runtime cannot load it.
        ParityError: the file is not the proven one, or does not compute what was proven.
        TargetUnavailable: the runtime is not installed.
    """
    loaded = load_checked(path, threads, arguments or {})
    send(loaded.hello)
    with refusing_failures(loaded.hello.runtime, "run", path):
        timed = timed_inferences(loaded.model.infer, min_time_s)
    _report(timed, (Sample(ns=ns) for ns in timed.series[0]), send)


def run_pair(
    paths: tuple[Path, Path],
    min_time_s: float,
    threads: int,
    send: Send,
    arguments: Mapping[str, str] | None = None,
    *,
    b_first: bool = False,
    block: int = 1,
) -> None:
    """Load and check two artifacts, then time them interleaved.

    Raises:
        ExportError: as :func:`run`.
    """
    a, b = (load_checked(path, threads, arguments or {}) for path in paths)
    send(a.hello)
    send(b.hello)
    infers = (a.model.infer, b.model.infer)
    with refusing_failures(f"{a.hello.runtime} or {b.hello.runtime}", "run", *paths):
        timed = timed_pairs(infers, min_time_s, b_first=b_first, block=block)
    pairs = zip(*timed.series, strict=True)
    _report(timed, (PairSample(a_ns=first, b_ns=second) for first, second in pairs), send)


def run_memory(
    path: Path, threads: int, send: Send, arguments: Mapping[str, str] | None = None
) -> None:
    """Load and run one artifact, and report what it took of memory.

    Raises:
        ExportError: as :func:`run`.
    """
    runtime_of(path).import_package()
    process_memory.reset_peak()
    baseline = process_memory.rss_bytes()
    loaded = load_checked(path, threads, arguments or {})
    readings = [process_memory.pss_bytes()]
    for _ in range(_MEMORY_INFERENCES):
        with refusing_failures(loaded.hello.runtime, "run", path):
            loaded.model.infer()
        readings.append(process_memory.pss_bytes())
    send(loaded.hello)
    send(
        MemoryUse(
            # The kernel's counters lag by some pages: the peak may be read below the baseline.
            peak_rss_bytes=max(baseline, process_memory.peak_rss_bytes()),
            peak_pss_bytes=max((r for r in readings if r is not None), default=None),
            baseline_rss_bytes=baseline,
        )
    )
    send(End(count=1, warm_up=_MEMORY_INFERENCES))


def _run_pair(options: argparse.Namespace, arguments: Mapping[str, str]) -> None:
    a, b = options.artifacts
    run_pair(
        (a, b),
        options.min_time_s,
        options.threads,
        _send,
        arguments,
        b_first=options.b_first,
        block=options.block,
    )


def _report(timed: Timed, measurements: Iterable[Message], send: Send) -> None:
    for measurement in measurements:
        send(measurement)
    send(End(count=len(timed.series[0]), warm_up=timed.warm_up, settled=timed.settled))


def _send(message: Message) -> None:
    sys.stdout.write(message.to_line())
    if not isinstance(message, Sample | PairSample):
        sys.stdout.flush()


def _fail(message: str, exit_code: int) -> int:
    text = " ".join(message.split())[:_MESSAGE_LENGTH]
    _send(Failure(exit_code=exit_code, message=text))
    return exit_code


if __name__ == "__main__":
    end_with_parent()
    sys.exit(main())
