"""Run a worker process on this host: read its report, bound its time, see the machine around it."""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import IO

from cnn_export.benchmarks.devices.host.host_counters import Snapshot
from cnn_export.benchmarks.devices.host.sampler import Sampler
from cnn_export.benchmarks.machine.host_info import allowed_cpus
from cnn_export.benchmarks.results.protocol import (
    Damaged,
    Hello,
    Message,
    Sample,
    State,
    bounded_lines,
    messages,
)
from cnn_export.benchmarks.results.session import (
    IncompleteRun,
    Measurement,
    Session,
    complete_session,
)
from cnn_export.errors import DeviceUnfit, InputRefused
from cnn_export.untrusted.parent_death import PARENT

_MESSAGES_MAX = 110_000
"""More than any worker sends: a timing loop keeps 100,000 samples."""
_LOG_BYTES = 300


class WorkerBroken(IncompleteRun, InputRefused):
    """The artifact ended the process that ran it, or kept it from ending."""

    exit_code = InputRefused.exit_code


def run_process(
    command: Sequence[str],
    limit_s: float,
    kind: type[Measurement] = Sample,
    threads: int = 1,
    cpus: set[int] | None = None,
    started: Callable[[Callable[[], None]], None] = lambda _: None,
) -> tuple[Session, list[Snapshot]]:
    """Run a process to its end, and return its report and the moments seen while it measured.

    ``threads`` bounds the thread pools that read the environment, ``cpus`` are those whose clock
    is watched (default: all). ``started`` gets what ends the process while this
    runs, for another thread. The process and its children are gone afterwards.

    Raises:
        ExportError: what the worker reported; see :func:`complete_session`.
        WorkerBroken: it crashed, or took longer than ``limit_s``.
        IncompleteRun: its report has a gap.
        DeviceUnfit: no process can be started.
    """
    with tempfile.TemporaryFile() as log, _process(command, log, threads) as process:
        started(functools.partial(_end, process))
        watchdog = threading.Timer(limit_s, _end, [process])
        watchdog.daemon = True
        watchdog.start()
        try:
            with Sampler(process.pid, cpus or allowed_cpus()) as sampler:
                return _read(process, log, kind, sampler), sampler.snapshots
        except IncompleteRun as error:
            if not watchdog.is_alive():
                raise WorkerBroken(f"no end after {limit_s:.0f} s: {error}") from None
            raise
        finally:
            watchdog.cancel()


@contextlib.contextmanager
def _process(
    command: Sequence[str], log: IO[bytes], threads: int
) -> Generator[subprocess.Popen[bytes]]:
    """Start a process in a session of its own: Ctrl-C is the parent's to handle."""
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            env=_environment(threads),
            start_new_session=True,
        )
    except OSError as error:
        raise DeviceUnfit(f"cannot start a worker process: {error.strerror}") from error
    try:
        yield process
    finally:
        _end(process)
        process.wait()


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill the process and whatever it started: a child may hold the pipe open."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def _read(
    process: subprocess.Popen[bytes], log: IO[bytes], kind: type[Measurement], sampler: Sampler
) -> Session:
    stream = process.stdout
    if stream is None:
        raise IncompleteRun("the worker has no standard output")
    with stream:
        received = list(
            _watched(itertools.islice(messages(bounded_lines(stream)), _MESSAGES_MAX), sampler)
        )
    exit_code = process.wait()
    try:
        session = complete_session(received, kind)
    except IncompleteRun as error:
        failure = WorkerBroken if exit_code else IncompleteRun
        raise failure(f"{error} (worker {ending(exit_code)}){_last_words(log)}") from None
    if exit_code != 0:
        raise IncompleteRun(f"the worker {ending(exit_code)} after its report{_last_words(log)}")
    return session


def _watched(
    received: Iterator[Message | Damaged], sampler: Sampler
) -> Iterator[Message | Damaged]:
    """Pass messages on: ``hello`` starts the timed part, measurements come after it."""
    for message in received:
        if isinstance(message, Hello):
            sampler.begin()
        elif not isinstance(message, State):
            sampler.finish()
        yield message


def ending(exit_code: int) -> str:
    """Return how a process ended, in words."""
    return f"killed by signal {-exit_code}" if exit_code < 0 else f"exit code {exit_code}"


def _last_words(log: IO[bytes]) -> str:
    log.seek(max(0, log.seek(0, os.SEEK_END) - _LOG_BYTES))
    text = " ".join(log.read(_LOG_BYTES).decode(errors="replace").split())
    return f": …{text}" if text else ""


def _environment(threads: int) -> dict[str, str]:
    """Return the environment: our number, and thread pools that read one bound to ``threads``."""
    pools = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    return os.environ | dict.fromkeys(pools, str(threads)) | {PARENT: str(os.getpid())}
