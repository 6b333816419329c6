"""The same commands twice, by other users in other folders with other hash seeds: the same bytes.

The second user gives them in the other order, so that no run may depend on one before it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import networks
import pytest
import torch

REPOSITORY = Path(__file__).parents[3]
USERS = {"quillfeather": ("fp32", "fp16"), "brambleworth": ("fp16", "fp32")}
"""User names that are words of no format, and the precisions in the order of each."""
COMMANDS = """
import sys
from cnn_export.__main__ import main

checkpoint, home, *precisions = sys.argv[1:]
for precision in precisions:
    words = ["--model", "networks:SmallNet", "--input", "image=1x3x13x18", "-t", "all", "--quiet"]
    code = main([checkpoint, *words, "--precision", precision, "-o", f"{home}/{precision}"])
    if code:
        sys.exit(code)
"""


def files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("determinism") / "small.pt"
    torch.save(networks.small_net().state_dict(), path)
    return path


@pytest.fixture(scope="module")
def homes(checkpoint: Path) -> list[Path]:
    """The folder of each user, where the files of each precision have one of their own."""
    return [run(checkpoint, user, precisions) for user, precisions in USERS.items()]


def run(checkpoint: Path, user: str, precisions: tuple[str, ...]) -> Path:
    """Run the commands as ``user``, whose name is also the current folder's."""
    home = checkpoint.parent / user
    home.mkdir()
    for precision in precisions:
        (home / precision).mkdir()
    environment = {
        **os.environ,
        "LOGNAME": user,
        "USER": user,
        "USERNAME": user,
        "HOME": str(home),
        "XDG_CACHE_HOME": os.environ.get("XDG_CACHE_HOME", str(Path.home() / ".cache")),
        "PYTHONHASHSEED": str(list(USERS).index(user) + 1),
        "PYTHONPATH": str(REPOSITORY / "tests"),
    }
    command = [sys.executable, "-c", COMMANDS, str(checkpoint), str(home), *precisions]
    subprocess.run(command, check=True, env=environment, cwd=home)
    return home


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_two_runs_give_the_same_bytes(homes: list[Path], checkpoint: Path, precision: str) -> None:
    first, second = (files(home / precision) for home in homes)
    suffixes = {name.split("/")[0].split(".", 1)[1] for name in first}
    assert {"onnx", "tflite", "pte", "mlpackage"} <= suffixes
    assert first.keys() == second.keys()
    assert [name for name in first if first[name] != second[name]] == []
    for name, content in first.items():
        assert_no_traces(name, content, checkpoint)


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
