"""The same command twice, in processes with other hash seeds: the same bytes, and no traces."""

from __future__ import annotations

import getpass
import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]


def files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def run(checkpoint: Path, out: Path, hash_seed: str, precision: str) -> dict[str, bytes]:
    arguments = ["--model", "networks:SmallNet", "--input", "image=1x3x13x18", "-t", "all"]
    environment = {
        **os.environ,
        "PYTHONHASHSEED": hash_seed,
        "PYTHONPATH": str(REPOSITORY / "tests"),
    }
    subprocess.run(
        [
            sys.executable,
            "-m",
            "cnn_export",
            str(checkpoint),
            *arguments,
            "-o",
            str(out),
            "--precision",
            precision,
            "--quiet",
        ],
        check=True,
        env=environment,
    )
    return files(out)


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_two_runs_give_the_same_bytes(
    small_checkpoint: Path, tmp_path: Path, precision: str
) -> None:
    first = run(small_checkpoint, tmp_path / "first", "1", precision)
    second = run(small_checkpoint, tmp_path / "second", "2", precision)
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
    ]
    if len(getpass.getuser()) > 4:  # "root" is also a word of the formats
        traces.append(getpass.getuser())
    assert [trace for trace in traces if trace.encode() in content] == [], name
