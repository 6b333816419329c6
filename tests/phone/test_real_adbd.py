"""The fake phone cross-checked: our side of adb against Debian's real daemon.

adbd listens on every address without asking who calls, so it only ever runs in a network namespace
of its own, where nobody else is; in a process namespace as well, so that nothing of it is left.
That takes root, or a kernel that lets users be it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from phone.real_adbd.fetch import NotObtainable, adbd_command

FOLDER = Path(__file__).parent / "real_adbd"
HELPERS = FOLDER.parents[1] / "benchmarks"
LIMIT_S = 240


def _namespace() -> list[str]:
    kinds = "-nmp" if os.geteuid() == 0 else "-rnmp"
    words = ["unshare", kinds, "--fork", "--mount-proc", "--kill-child"]
    try:
        tried = subprocess.run([*words, "ip", "link", "set", "lo", "up"], capture_output=True)
    except FileNotFoundError as error:
        pytest.skip(f"no namespace for adbd: {error.filename} is not installed")
    if tried.returncode != 0:
        pytest.skip(f"no namespace for adbd: {tried.stderr.decode().strip()}")
    return words


@pytest.mark.parametrize("cases", ["adbd_cases.py", "adbd_run_cases.py"])
def test_the_real_adbd(cases: str) -> None:
    namespace = _namespace()
    try:
        command = adbd_command()
    except NotObtainable as error:
        pytest.skip(str(error))
    inside = 'ip link set lo up && exec "$@"'
    tests = [sys.executable, "-m", "pytest", "-q", "-p", "no:xdist", str(FOLDER / cases)]
    done = subprocess.run(
        [*namespace, "sh", "-c", inside, "sh", *tests],
        env=os.environ | {"ADBD_COMMAND": "\n".join(command), "PYTHONPATH": str(HELPERS)},
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert " skipped" not in done.stdout
