"""Run a whole process and read from the kernel what it cost."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from typing import IO

from cnn_export.errors import ExportError

_KIBIBYTE = 1024
_PEAK_UNIT_BYTES = 1 if sys.platform == "darwin" else _KIBIBYTE
"""``ru_maxrss`` counts bytes on macOS and KiB on Linux."""
_LOG_BYTES = 300


@dataclasses.dataclass(frozen=True)
class Usage:
    """One process from start to end, with the children it waited for.

    ``peak_bytes`` is the largest resident set of any one of them; Linux counts from the peak of
    the process that started it, so measure from a small one.
    """

    wall_s: float
    cpu_s: float
    peak_bytes: int


def study_output(module: str, *arguments: str) -> str:
    """Run a study's module in a process of its own; return what it prints.

    Raises:
        ExportError: it ends with another exit code than 0; holds its last words.
    """
    command = [sys.executable, "-m", f"cnn_export.benchmarks.studies.{module}", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        last_words = done.stderr.strip()[-_LOG_BYTES:]
        raise ExportError(f"{module} ended with {done.returncode}: {last_words}")
    return done.stdout


def measure_process(arguments: Sequence[str]) -> Usage:
    """Run a command with its output thrown away.

    Raises:
        ExportError: it cannot be started or ends with another exit code than 0; holds its last
            words.
    """
    with tempfile.TemporaryFile() as log:
        start = time.perf_counter()
        try:
            process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=log)
        except OSError as error:
            raise ExportError(f"cannot start {arguments[0]}: {error.strerror}") from error
        # wait4 alone tells this child's peak; RUSAGE_CHILDREN keeps the largest of all so far.
        _, status, resources = os.wait4(process.pid, 0)
        wall_s = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            raise ExportError(
                f"{' '.join(arguments[:6])} ended with {process.returncode}: {_last_words(log)}"
            )
    return Usage(
        wall_s=wall_s,
        cpu_s=resources.ru_utime + resources.ru_stime,
        peak_bytes=resources.ru_maxrss * _PEAK_UNIT_BYTES,
    )


def imported_modules(arguments: Sequence[str]) -> set[str]:
    """Run ``python ARGUMENTS`` and return every module it imported.

    Raises:
        ExportError: it ends with another exit code than 0.
    """
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        check=False,
    )
    if done.returncode != 0:
        raise ExportError(f"python {' '.join(arguments)} ended with {done.returncode}")
    return modules_of_report(done.stderr.decode(errors="replace"))


def modules_of_report(report: str) -> set[str]:
    """Return the module names of ``-X importtime`` (``import time: self | total | name``)."""
    rows = (line.split("|") for line in report.splitlines() if line.startswith("import time:"))
    return {row[2].strip() for row in rows if len(row) == 3 and row[0].strip()[-1].isdigit()}


def _last_words(log: IO[bytes]) -> str:
    log.seek(0)
    return " ".join(log.read()[-_LOG_BYTES:].decode(errors="replace").split())
