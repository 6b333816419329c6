"""``kill -9`` inside a commit: a set is old or new as a whole once the next export begins."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from commit_sweep import require_whole
from effort import seeds
from file_sets import FILE_SETS

from cnn_export.atomic_commit import settle

_HERE = Path(__file__).parent
_ENVIRONMENT = {**os.environ, "PYTHONPATH": str(_HERE.parent)}
_STRIDE = 1 if len(seeds(5)) == 5 else 23
"""Of about 11,000 moments, each 23rd by default."""

COMMIT_AGAIN_AND_AGAIN = """
import sys
from pathlib import Path
from file_sets import FILE_SETS

files, out = FILE_SETS["four targets"], Path(sys.argv[1])
print("ready", flush=True)
while True:
    files.commit(out)
"""


@pytest.mark.parametrize("swaps", ["yes", "no"])
@pytest.mark.parametrize("name", FILE_SETS)
def test_a_kill_at_any_moment(name: str, swaps: str, out: Path) -> None:
    arguments = (str(out), name, swaps, str(_STRIDE))
    command = [sys.executable, str(_HERE / "commit_sweep.py"), *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, env=_ENVIRONMENT)
    assert ended.returncode == 0, ended.stderr
    found = json.loads(ended.stdout)
    assert found["moments"] >= 700 / _STRIDE  # ten of these: over 300 moments by default
    before = "old" if FILE_SETS[name].replaces else "absent"
    assert found["outcomes"] == sorted(["new", before])


@pytest.mark.parametrize("seed", seeds(25))
def test_a_kill_at_a_random_time(seed: int, out: Path) -> None:
    """A process that does nothing but commit, killed from outside."""
    files = FILE_SETS["four targets"]
    files.put_earlier(out)
    command = [sys.executable, "-c", COMMIT_AGAIN_AND_AGAIN, str(out)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, env=_ENVIRONMENT)
    assert process.stdout is not None
    with process, process.stdout:
        assert process.stdout.readline() == b"ready\n"
        time.sleep(random.Random(seed).uniform(0, 0.1))  # noqa: S311
        process.kill()
    assert process.returncode == -signal.SIGKILL
    assert files.shown(out) <= {"old", "new"}
    settle(out)
    require_whole(files, out)
