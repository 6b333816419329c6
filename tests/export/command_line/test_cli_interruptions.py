"""Signals, competing jobs and readers that leave: no half-made file, and an honest exit code."""

from __future__ import annotations

import hashlib
import json
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import networks
import pytest
import torch
from command_checks import SMALL, one_line, start

from cnn_export.__main__ import main
from cnn_export.atomic_commit import staged_files, staging
from cnn_export.atomic_commit.journal import Entry
from cnn_export.atomic_commit.private_folder import PrivateFolder

TIMEOUT_S = 180

SLOW_NETWORK = """
import contextlib
import time
from pathlib import Path
import networks


class Slow(networks.SmallNet):
    def forward(self, image):
        Path("tracing").touch()
        with contextlib.suppress(BaseException):
            time.sleep(600)
"""


def wait_for(condition: Callable[[], object], process: subprocess.Popen[str]) -> None:
    """Wait until the condition holds; fail if the process ends first."""
    end = time.monotonic() + TIMEOUT_S
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.01)


def assert_ended(process: subprocess.Popen[str], number: int, out: Path) -> None:
    """Check for the code a shell gives, one line, and nothing left."""
    stdout, stderr = process.communicate(timeout=TIMEOUT_S)
    word = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}.get(number, "hung up")
    assert process.returncode == 128 + number, stderr
    assert stdout == ""
    assert word in one_line(stderr)
    assert list(out.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_during_the_trace(
    number: int, small_checkpoint: Path, tmp_path: Path, out: Path
) -> None:
    """Also where the code that runs swallows every exception, as converters do."""
    (tmp_path / "slow_network.py").write_text(SLOW_NETWORK)
    model = ("--model", "slow_network:Slow", "--input", "image=1x3x13x18")
    process = start(small_checkpoint, "-t", "onnx", *model, "-o", out, cwd=tmp_path)
    wait_for((tmp_path / "tracing").exists, process)
    process.send_signal(number)
    assert_ended(process, number, out)


@pytest.mark.parametrize(
    ("target", "number"),
    [("onnx", signal.SIGINT), ("tflite", signal.SIGINT), ("executorch", signal.SIGTERM)],
)
def test_a_signal_during_the_conversion(
    target: str, number: int, small_checkpoint: Path, out: Path
) -> None:
    process = start(small_checkpoint, "-t", target, *SMALL, "-o", out)
    wait_for(lambda: list(out.glob(".cnn-export-*")), process)
    process.send_signal(number)
    assert_ended(process, number, out)


def test_an_ignored_hangup_stays_ignored(small_checkpoint: Path, tmp_path: Path, out: Path) -> None:
    """``nohup`` means that the job outlives the terminal."""
    (tmp_path / "slow_network.py").write_text(SLOW_NETWORK.replace("600", "0.5"))
    model = ("--model", "slow_network:Slow", "--input", "image=1x3x13x18")
    prefix = ("env", "--ignore-signal=HUP")
    process = start(small_checkpoint, "-t", "onnx", *model, "-o", out, cwd=tmp_path, prefix=prefix)
    wait_for((tmp_path / "tracing").exists, process)
    process.send_signal(signal.SIGHUP)
    _, stderr = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 4, stderr  # the network returns nothing
    assert "returns no tensor" in one_line(stderr)


def test_two_jobs_write_one_path(tmp_path: Path, out: Path) -> None:
    """Whichever wins, the manifest belongs to the artifact beside it."""
    processes: list[subprocess.Popen[str]] = []
    for seed in (1, 2):
        folder = tmp_path / f"seed-{seed}"
        folder.mkdir()
        torch.save(networks.seeded(networks.SmallNet(), seed).state_dict(), folder / "small.pt")
        processes.append(start(folder / "small.pt", "-t", "onnx", *SMALL, "-o", out))
    for process in processes:
        _, stderr = process.communicate(timeout=TIMEOUT_S)
        assert process.returncode == 0, stderr
    assert sorted(p.name for p in out.iterdir()) == ["small.onnx", "small.onnx.manifest.json"]
    manifest = json.loads((out / "small.onnx.manifest.json").read_text())
    content = (out / "small.onnx").read_bytes()
    assert manifest["artifact_sha256"] == hashlib.sha256(content).hexdigest()
    assert manifest["artifact_bytes"] == len(content)


def test_commits_of_one_folder_exclude_each_other(
    out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second commit starts between the renames of the first, and has to wait."""
    shown: list[str] = []
    names = ("net.onnx", "net.onnx.manifest.json")
    install = staged_files.install

    def pair(text: str) -> None:
        with staging(out) as staged:
            for name in names:
                (staged.folder / name).write_text(text)
            staged.commit(names)

    second = threading.Thread(target=pair, args=("second",))

    def noted(folder: PrivateFolder, entry: Entry) -> None:
        shown.append((folder.new / entry.name).read_text())
        if len(shown) == 1:
            second.start()
            second.join(0.5)  # without the lock it is through long before
        install(folder, entry)

    monkeypatch.setattr(staged_files, "install", noted)
    pair("first")
    second.join()
    assert shown == ["first", "first", "second", "second"]
    assert {path.read_text() for path in out.iterdir()} == {"second"}


def test_main_leaves_the_handlers_as_they_were() -> None:
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]
    assert main(["--version"]) == 0
    assert [signal.getsignal(number) for number in numbers] == before


def test_main_works_outside_the_main_thread() -> None:
    codes: list[int] = []
    thread = threading.Thread(target=lambda: codes.append(main(["--list-targets"])))
    thread.start()
    thread.join()
    assert codes == [0]
