"""A reader in a process of its own ends, however hostile its file, by an answer or one refusal."""

from __future__ import annotations

import importlib.util
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from cnn_export.errors import CheckpointError, ExportError, InputRefused
from cnn_export.untrusted import bounded_process
from cnn_export.untrusted.bounded_process import Limits, run_reader
from cnn_export.untrusted.rehearsal import rehearse

TESTS = Path(__file__).parents[1]
LIMITS = Limits(memory_bytes=64 * 2**20, cpu_s=1, answer_bytes=2**20)
NAME = Path("net.pt")


@pytest.fixture(autouse=True)
def _readers_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The child finds the packages of the product only: the tests' readers go by as one."""
    monkeypatch.setattr(bounded_process, "_PACKAGES", ("cnn_export", "hostile_readers"))


def ask(reader: str, **arguments: Any) -> Any:
    return run_reader(f"hostile_readers:{reader}", arguments, path=NAME, limits=LIMITS)


def refusal(reader: str, **arguments: Any) -> str:
    with pytest.raises(InputRefused) as caught:
        ask(reader, **arguments)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("net.pt ")
    return str(caught.value)


def test_contents_and_arguments_arrive(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"first" + bytes(100_000))
    (tmp_path / "b").write_bytes(b"")
    with (tmp_path / "a").open("rb") as a, (tmp_path / "b").open("rb") as b:
        answer = run_reader(
            "hostile_readers:content",
            {"name": "größer\udcff", "list": [1, None]},
            path=NAME,
            limits=LIMITS,
            descriptors=(a.fileno(), b.fileno()),
        )
    assert answer == [
        ["first" + "\0" * 15, ""],
        {"name": "größer\udcff", "list": [1, None]},
    ]


def test_what_comes_first_is_outside_of_the_limits() -> None:
    """A vendor's package takes more than many a file may."""
    place = "hostile_readers:takes_first"
    found = run_reader("hostile_readers:taken_first", {}, path=NAME, limits=LIMITS, first=[place])
    assert found == 100 * 2**20


def test_what_fails_first_is_the_readers_to_tell() -> None:
    with pytest.raises(InputRefused, match="CheckpointError is bad"):
        run_reader(
            "hostile_readers:refuses",
            {"name": "CheckpointError"},
            path=NAME,
            limits=LIMITS,
            first=["hostile_readers:fails"],
        )


def test_a_typed_refusal_comes_back() -> None:
    with pytest.raises(CheckpointError) as caught:
        ask("refuses", name="net.pt")
    assert str(caught.value) == "net.pt is bad in two lines"


@pytest.mark.parametrize(
    ("reader", "said"),
    [
        ("takes_memory", "takes more than 64 MB of memory to read"),
        ("takes_cpu", "takes more than 1 s of CPU time to read"),
        ("talks", "holds more than 1 MB of description"),
        ("crashes", "crashed its reader (SIGSEGV)"),
        ("leaves", "crashed its reader, which did not answer"),
        ("raves", "crashed its reader, which did not answer"),
        ("lies", "cannot be read"),
        ("not_json", "cannot be read (TypeError"),
        ("fails", "cannot be read (ZeroDivisionError: by nothing)"),
        ("signals", "crashed its reader (signal 40)"),
        ("exits", "crashed its reader (exit code 3)"),
        ("opens_a_file", "Too many open files"),
        ("connects", "Too many open files"),
    ],
)
def test_every_end_is_one_refusal(reader: str, said: str) -> None:
    assert said in refusal(reader)


def test_a_reader_that_waits_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Limits, "wall_s", 2)
    assert "takes more than 2 s to read" in refusal("waits")


@pytest.mark.parametrize("call", ["Popen", "fork"])
def test_no_process_can_be_started(call: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(subprocess if call == "Popen" else os, call, full)
    start = {
        "Popen": lambda: ask("infinite"),
        "fork": lambda: rehearse(lambda: None, path=NAME, limits=LIMITS),
    }
    with pytest.raises(ExportError, match="no process can be started") as caught:
        start[call]()
    assert caught.value.exit_code == 1


def test_numbers_of_any_kind_come_back() -> None:
    assert ask("infinite") == float("inf")


def test_nothing_can_be_written(tmp_path: Path) -> None:
    with (
        (tmp_path / "a").open("w+b") as file,
        pytest.raises(InputRefused, match="File too large"),
    ):
        run_reader(
            "hostile_readers:writes",
            {"descriptor": file.fileno()},
            path=NAME,
            limits=LIMITS,
            descriptors=(file.fileno(),),
        )
    assert (tmp_path / "a").read_bytes() == b""


def test_limits_that_are_lower_already_stay() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_CPU)
    program = (
        "import resource; resource.setrlimit(resource.RLIMIT_AS, (2**31, 2**31));"
        "from cnn_export.untrusted.bounded_process import *;"
        "print(run_reader('cnn_export.untrusted.parent_death:end_with_parent', {},"
        " path=Path('a'), limits=Limits(2**40, 5)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "None\n", done.stderr
    assert resource.getrlimit(resource.RLIMIT_CPU) == (soft, hard)


def test_the_reader_ends_with_a_killed_command(tmp_path: Path) -> None:
    program = (
        f"import sys; sys.path.insert(0, {str(TESTS)!r});"
        "from cnn_export.untrusted import bounded_process as b; from pathlib import Path;"
        "b._PACKAGES = ('cnn_export', 'hostile_readers');"
        "b.run_reader('hostile_readers:waits', {}, path=Path('a'), limits=b.Limits(2**26, 50))"
    )
    command = subprocess.Popen([sys.executable, "-c", program])
    child = _child_of(command.pid)
    command.kill()
    command.wait()
    deadline = time.monotonic() + 60
    while Path(f"/proc/{child}").exists() and _state(child) != "Z":
        assert time.monotonic() < deadline, "the reader outlives its parent"
        time.sleep(0.05)


def _child_of(parent: int) -> int:
    """Wait until the process has a child that has set its limits, and return it."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
        for child in children:
            limits = Path(f"/proc/{child}/limits").read_text()
            if "Max core file size        0                    0" in limits:
                return int(child)
        time.sleep(0.05)
    raise AssertionError("no reader was started")


def _state(process: int) -> str:
    return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]


def test_no_library_is_loaded_to_start() -> None:
    """Not even ``site`` is there, which would find what is installed."""
    assert importlib.util.find_spec("numpy") is not None
    with pytest.raises(ExportError, match=r"reader of net\.pt does not start .*numpy") as caught:
        run_reader("numpy:array", {}, path=NAME, limits=LIMITS)
    assert caught.value.exit_code == 1
