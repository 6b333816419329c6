"""A worker ends with the process that started it, whenever that one ends."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from cnn_export.benchmarks.parent_death import PARENT
from cnn_export.benchmarks.worker_process import _environment  # pyright: ignore[reportPrivateUsage]

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="asks Linux's kernel")

WORKER = """
import os, sys, time
from cnn_export.benchmarks.parent_death import end_with_parent
while os.getppid() == int(os.environ["CNN_BENCH_PARENT"]):
    time.sleep(0.005)
print("orphan", flush=True)
end_with_parent()
print("measures on", flush=True)
"""
STARTER = """
import os, subprocess, sys
environment = os.environ | {"CNN_BENCH_PARENT": str(os.getpid())}
subprocess.Popen([sys.executable, "-c", sys.argv[1]], env=environment)
os._exit(0)
"""
HEEDING = "from cnn_export.benchmarks.parent_death import end_with_parent; end_with_parent()"


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
