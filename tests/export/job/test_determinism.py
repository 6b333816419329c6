"""The same commands twice, by other users in other folders with other hash seeds: the same bytes.

The second user gives them in the other order, so that no run may depend on one before it, and in a
plain process: the first one's, the tests' own, keeps tables (``vendor_tables.py``) and has run much
before.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import networks
import pytest
import torch

from cnn_export.__main__ import main

REPOSITORY = Path(__file__).parents[3]
HERE, ELSEWHERE = "quillfeather", "brambleworth"
"""User names that are words of no format."""
USERS = {HERE: ("fp32", "fp16"), ELSEWHERE: ("fp16", "fp32")}
"""The precisions in the order of each."""


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
    """The folder of each user, where the files of each precision have one of their own.

    Its name is the user's.
    """
    here, elsewhere = (checkpoint.parent / user for user in USERS)
    for folder in (here / "fp32", here / "fp16", elsewhere / "fp32", elsewhere / "fp16"):
        folder.mkdir(parents=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(here)
        for name, value in environment(here).items():
            patch.setenv(name, value)
        export(checkpoint, here)
    seed = "2" if os.environ.get("PYTHONHASHSEED") == "1" else "1"
    variables = {**os.environ, **environment(elsewhere), "PYTHONHASHSEED": seed}
    variables["PYTHONPATH"] = str(REPOSITORY / "tests")
    command = [sys.executable, __file__, str(checkpoint), str(elsewhere)]
    subprocess.run(command, check=True, env=variables, cwd=elsewhere)
    return [here, elsewhere]


def environment(home: Path) -> dict[str, str]:
    """Return what tells a process whose it is."""
    cache = os.environ.get("XDG_CACHE_HOME", str(Path.home() / ".cache"))
    names = dict.fromkeys(("LOGNAME", "USER", "USERNAME"), home.name)
    return {**names, "HOME": str(home), "XDG_CACHE_HOME": cache}


def export(checkpoint: Path, home: Path) -> None:
    """Run the commands of the user whose folder it is."""
    for precision in USERS[home.name]:
        words = ["--model", "networks:SmallNet", "--input", "image=1x3x13x18", "-t", "all"]
        words += ["--quiet", "--precision", precision, "-o", str(home / precision)]
        assert main([str(checkpoint), *words]) == 0


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


if __name__ == "__main__":
    export(Path(sys.argv[1]), Path(sys.argv[2]))
