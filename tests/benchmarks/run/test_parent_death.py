"""A worker ends with the process that started it, whenever that one ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from cnn_export.benchmarks.devices.host.worker_process import (  # pyright: ignore[reportPrivateUsage]
    _environment,
)
from cnn_export.untrusted.parent_death import PARENT

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="asks Linux's kernel")

WORKER = """
import os, sys, time
from cnn_export.untrusted.parent_death import end_with_parent
while os.getppid() == int(os.environ["CNN_EXPORT_PARENT"]):
    time.sleep(0.005)
print("orphan", flush=True)
end_with_parent()
print("measures on", flush=True)
"""
STARTER = """
import os, subprocess, sys
environment = os.environ | {"CNN_EXPORT_PARENT": str(os.getpid())}
subprocess.Popen([sys.executable, "-c", sys.argv[1]], env=environment)
os._exit(0)
"""
HEEDING = "from cnn_export.untrusted.parent_death import end_with_parent; end_with_parent()"


def test_a_parent_that_ended_before_the_kernel_was_asked() -> None:
    """The worker asks only after its parent has gone; the pipe ends with the worker."""
    done = subprocess.run(
        [sys.executable, "-c", STARTER, WORKER], stdout=subprocess.PIPE, timeout=60, check=True
    )
    assert done.stdout == b"orphan\n"


@pytest.mark.parametrize("told", [{}, {PARENT: str(os.getpid())}, _environment(1)])
def test_a_worker_whose_parent_lives_goes_on(told: dict[str, str]) -> None:
    environment = {k: v for k, v in os.environ.items() if k != PARENT} | told
    done = subprocess.run([sys.executable, "-c", HEEDING], env=environment, check=False)
    assert done.returncode == 0


def test_a_killed_profile_leaves_no_worker(affine_onnx: Path) -> None:
    """The worker is halted, so that it cannot come to its own end meanwhile."""
    words = ["profile", str(affine_onnx), "--inferences", "10000"]
    command = [sys.executable, "-m", "cnn_export.benchmarks", *words]
    parent = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    worker = 0
    try:
        worker = _wait_for(lambda: _worker_of(parent.pid))
        os.kill(worker, signal.SIGSTOP)
        parent.kill()
        parent.wait()
        _wait_for(lambda: not _runs(worker))
    finally:
        parent.kill()
        if worker and _runs(worker):
            os.kill(worker, signal.SIGKILL)


def _worker_of(parent: int) -> int:
    """Return the child that has become a profiling worker and loaded its runtime, 0 for none."""
    for text in Path(f"/proc/{parent}/task/{parent}/children").read_text().split():
        if "onnxruntime" in Path(f"/proc/{text}/maps").read_text():
            return int(text)
    return 0


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def _wait_for(found: Callable[[], int]) -> int:
    until = time.monotonic() + 60
    while not (value := found()):
        assert time.monotonic() < until, "it never came to that"
        time.sleep(0.02)
    return value
