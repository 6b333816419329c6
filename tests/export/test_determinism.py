"""The same command twice, by other users in other folders with other hash seeds: the same bytes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
USERS = ("quillfeather", "brambleworth")
"""User names that are words of no format."""


def files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def run(checkpoint: Path, out: Path, user: str, precision: str) -> dict[str, bytes]:
    """Run the command as ``user``, whose name is also the hash seed and the current folder's."""
    arguments = ["--model", "networks:SmallNet", "--input", "image=1x3x13x18", "-t", "all"]
    home = out.parent / user
    home.mkdir()
    environment = {
        **os.environ,
        "LOGNAME": user,
        "USER": user,
        "USERNAME": user,
        "HOME": str(home),
        "XDG_CACHE_HOME": os.environ.get("XDG_CACHE_HOME", str(Path.home() / ".cache")),
        "PYTHONHASHSEED": str(USERS.index(user) + 1),
        "PYTHONPATH": str(REPOSITORY / "tests"),
    }
    command = [sys.executable, "-m", "cnn_export", str(checkpoint), *arguments]
    subprocess.run(
        [*command, "-o", str(out), "--precision", precision, "--quiet"],
        check=True,
        env=environment,
        cwd=home,
    )
    return files(out)


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_two_runs_give_the_same_bytes(
    small_checkpoint: Path, tmp_path: Path, precision: str
) -> None:
    first = run(small_checkpoint, tmp_path / "first", USERS[0], precision)
    second = run(small_checkpoint, tmp_path / "second", USERS[1], precision)
    suffixes = {name.split("/")[0].split(".", 1)[1] for name in first}
    assert {"onnx", "tflite", "pte", "mlpackage"} <= suffixes
    assert first.keys() == second.keys()
    assert [name for name in first if first[name] != second[name]] == []
    for name, content in first.items():
        assert_no_traces(name, content, small_checkpoint)


def assert_no_traces(name: str, content: bytes, checkpoint: Path) -> None:
    """No folder of this machine, no source file and no user name may be inside."""
    traces = [
        str(REPOSITORY),
        str(checkpoint.parent),
        str(Path.home()),
        "site-packages",
        "networks.py",
        "stack_trace",
        "Traceback",
        *USERS,
    ]
    assert [trace for trace in traces if trace.encode() in content] == [], name
