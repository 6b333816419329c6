"""Run ``cnn-export`` and hold it to its contract: an exit code, and on failure exactly one line."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cnn_export.__main__ import main

USAGE = 2
REFUSED = 4
NOT_INSTALLED = 5

SMALL = ("--model", "networks:SmallNet", "--input", "image=1x3x13x18")
"""What the tests' ``small_checkpoint`` needs."""

_TESTS = Path(__file__).parents[1]


def refusal(capfd: pytest.CaptureFixture[str], code: int, *arguments: object) -> str:
    """Return the one line of a run in this process that must end with ``code``."""
    capfd.readouterr()
    actual = main([str(argument) for argument in arguments])
    captured = capfd.readouterr()
    assert actual == code, captured.err
    assert captured.out == ""
    return one_line(captured.err)


def one_line(stderr: str) -> str:
    """Check that this is a line for a user, and return it."""
    assert stderr.startswith("cnn-export: "), stderr
    assert stderr.endswith("\n")
    assert stderr.count("\n") == 1, stderr
    assert "internal error" not in stderr
    return stderr


def start(
    *arguments: object, cwd: Path | None = None, prefix: tuple[str, ...] = ()
) -> subprocess.Popen[str]:
    """Start ``cnn-export`` as a process of its own, behind the command ``prefix``."""
    return subprocess.Popen(
        [*prefix, sys.executable, "-m", "cnn_export", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(_TESTS), "OMP_NUM_THREADS": "1"},
    )


def tree(folder: Path) -> dict[str, bytes | None]:
    """Return every path below a folder, files with their content."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }
