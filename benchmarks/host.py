"""This host as a device: start a worker process, read its report, bound its time."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import IO

from cnn_export.benchmarks.protocol import bounded_lines, messages
from cnn_export.benchmarks.session import IncompleteRun, Repeat, complete_repeat

THREADS = 1
_WORKER = "cnn_export.benchmarks.worker"
_PATIENCE_S = 300.0
"""What loading, checking and reporting may take on a busy machine, besides the measuring."""
_LOG_BYTES = 300


def run_worker(artifact: Path, min_time_s: float, patience_s: float = _PATIENCE_S) -> Repeat:
    """Run one repeat in a fresh single-threaded process.

    Raises:
        ExportError: what the worker reported; see :func:`complete_repeat`.
        IncompleteRun: it crashed, hung, or its report has a gap.
    """
    arguments = [str(artifact), "--min-time-s", str(min_time_s), "--threads", str(THREADS)]
    return run_process([sys.executable, "-m", _WORKER, *arguments], min_time_s * 2 + patience_s)


def run_process(arguments: list[str], limit_s: float) -> Repeat:
    """Run any process that speaks the protocol on its standard output.

    Raises:
        ExportError: as :func:`run_worker`.
    """
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            arguments, stdout=subprocess.PIPE, stderr=log, env=_environment(), bufsize=-1
        )
        watchdog = threading.Timer(limit_s, process.kill)
        watchdog.start()
        try:
            return _read(process, log)
        finally:
            watchdog.cancel()
            process.kill()
            process.wait()


def _read(process: subprocess.Popen[bytes], log: IO[bytes]) -> Repeat:
    stream = process.stdout
    if stream is None:
        raise IncompleteRun("the worker has no standard output")
    with stream:
        received = list(messages(bounded_lines(stream)))
    exit_code = process.wait()
    try:
        repeat = complete_repeat(received)
    except IncompleteRun as error:
        raise IncompleteRun(f"{error} (worker {_ending(exit_code)}){_last_words(log)}") from None
    if exit_code != 0:
        raise IncompleteRun(f"the worker {_ending(exit_code)} after its report{_last_words(log)}")
    return repeat


def _ending(exit_code: int) -> str:
    return f"killed by signal {-exit_code}" if exit_code < 0 else f"exit code {exit_code}"


def _last_words(log: IO[bytes]) -> str:
    log.seek(0)
    text = " ".join(log.read()[-_LOG_BYTES:].decode(errors="replace").split())
    return f": …{text}" if text else ""


def _environment() -> dict[str, str]:
    """Return the environment with every thread pool that reads one bound to one thread."""
    pools = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    return os.environ | dict.fromkeys(pools, str(THREADS))
