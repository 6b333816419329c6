"""Whatever ends the process, there is one line, the right exit code, and nothing half made."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from command_checks import REFUSED, SMALL, USAGE, one_line, refusal, start
from file_sets import FILE_SETS

INTERNAL = 1
_HELPERS = Path(__file__).parents[1]

JOB = """
import os, signal, sys
from pathlib import Path
from cnn_export.job.supervision import supervised
from cnn_export.command_line.job_trail import TRAIL
from file_sets import FILE_SETS, stage
from cnn_export.atomic_commit import staging

out = Path(sys.argv[1])

def tell(line):
    sys.stderr.write(f"cnn-export: {line}\\n")

def job():
    if sys.argv[2]:
        TRAIL.step(sys.argv[2])
    with staging(out / "new" / "folder") as staged:
        stage(FILE_SETS["first of four"], staged)
        exec(sys.argv[3])
    return 7

sys.exit(supervised(job, tell))
"""


def supervise(out: Path, step: str, ending: str) -> tuple[int, str]:
    """Run a job that ends in a way of its own; return exit code and line."""
    command = [sys.executable, "-c", JOB, str(out), step, ending]
    environment = {**os.environ, "PYTHONPATH": str(_HELPERS)}
    ended = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert ended.stdout == ""
    return ended.returncode, ended.stderr


@pytest.mark.parametrize(
    ("step", "ending", "code", "words"),
    [
        ("load", "os._exit(0)", REFUSED, "network's own code ended the process (exit code 0)"),
        ("trace", "os._exit(9)", REFUSED, "in step 'trace'"),
        ("trace", "os.fork() or os._exit(3); os._exit(0)", REFUSED, "(exit code 0)"),
        ("tflite: convert", "os._exit(0)", INTERNAL, "tflite: convert: ended the process"),
        ("tflite: convert", "os.abort()", INTERNAL, "tflite: convert: crashed (signal 6"),
        ("", "os.kill(os.getpid(), signal.SIGSEGV)", INTERNAL, "crashed (signal 11, SIGSEGV)"),
        ("trace", "os.kill(os.getpid(), signal.SIGKILL)", 137, "often because memory ran out"),
        ("trace", "os.kill(os.getpid(), signal.SIGUSR1)", 138, "killed (signal 10, SIGUSR1)"),
        ("trace", "os.kill(os.getpid(), signal.SIGRTMIN + 3)", 128 + 37, "killed (signal 37"),
    ],
)
def test_a_process_that_vanishes(step: str, ending: str, code: int, words: str, out: Path) -> None:
    actual, stderr = supervise(out, step, ending)
    assert (actual, words in one_line(stderr)) == (code, True), stderr
    assert "nothing was written" in stderr
    assert list(out.iterdir()) == []


@pytest.mark.parametrize("ending", ["", "import atexit; atexit.register(os._exit, 0)"])
def test_a_job_that_ends_by_itself_keeps_its_code(ending: str, out: Path) -> None:
    assert supervise(out, "trace", ending or "pass") == (7, "")
    assert list(out.iterdir()) == []


def test_a_full_trail_keeps_how_the_job_ended(out: Path) -> None:
    files = FILE_SETS["first of four"]
    fill = "[TRAIL.step('x' * 997) for _ in range(80)]; [TRAIL.step('x') for _ in range(80)]"
    assert supervise(out, "trace", fill) == (7, "")
    code, stderr = supervise(out, "write", f"{fill}; staged.commit({files.names!r}); os._exit(0)")
    assert (code, "its files were finished" in one_line(stderr)) == (REFUSED, True)


def test_a_job_that_vanishes_when_all_is_written_says_so(out: Path) -> None:
    """Neither is the code 0, nor is it said that nothing was written."""
    files = FILE_SETS["first of four"]
    code, stderr = supervise(out, "write", f"staged.commit({files.names!r}); os._exit(0)")
    assert code == INTERNAL
    assert "its files were finished and are in place" in one_line(stderr)
    assert files.shown(out / "new" / "folder") == {"new"}


def test_a_kill_inside_the_commit_is_settled_at_once(out: Path) -> None:
    files = FILE_SETS["first of four"]
    half = (
        "from cnn_export.atomic_commit import staged_files as module; real = module.install; "
        "module.install = lambda *a, real=real: (real(*a), os.kill(os.getpid(), signal.SIGKILL)); "
        f"staged.commit({files.names!r})"
    )
    code, stderr = supervise(out, "write", half)
    assert code == 137
    assert "its files were finished and are in place" in one_line(stderr)
    assert files.shown(out / "new" / "folder") == {"new"}


@pytest.mark.parametrize(
    "statement",
    [
        "raise GeneratorExit",
        "raise KeyboardInterrupt",
        "raise SystemExit(0)",
        "raise type('Odd', (BaseException,), {})('what')",
        "import nowhere_to_be_found",
    ],
)
@pytest.mark.parametrize("place", ["forward", "construction", "import"])
def test_what_the_networks_code_raises(
    place: str,
    statement: str,
    small_checkpoint: Path,
    tmp_path: Path,
    out: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    indented = {"import": f"{statement}\n", "construction": "", "forward": ""}[place]
    name = f"odd_network_{place}_{abs(hash(statement))}"
    construct = statement if place == "construction" else "super().__init__()"
    forward = statement if place == "forward" else "return super().forward(image)"
    (tmp_path / f"{name}.py").write_text(
        f"import networks\n{indented}\n"
        f"class Odd(networks.SmallNet):\n"
        f"    def __init__(self):\n        {construct}\n"
        f"    def forward(self, image):\n        {forward}\n"
    )
    monkeypatch.chdir(tmp_path)
    model = ("--model", f"{name}:Odd", "--input", "image=1x3x13x18")
    # What --model names can then not be imported or built with these arguments.
    told_as_usage = {
        "import": "KeyboardInterrupt" not in statement,
        "construction": statement in ("raise SystemExit(0)", "import nowhere_to_be_found"),
        "forward": False,
    }
    code = USAGE if told_as_usage[place] else REFUSED
    message = refusal(capfd, code, small_checkpoint, "-t", "onnx", *model, "-o", out)
    assert "network" in message
    assert list(out.iterdir()) == []


def test_the_command_tells_of_a_network_that_ends_the_process(
    small_checkpoint: Path, tmp_path: Path, out: Path
) -> None:
    (tmp_path / "leaving.py").write_text(
        "import os, networks\nclass Leaving(networks.SmallNet):\n"
        "    def forward(self, image):\n        os._exit(0)\n"
    )
    model = ("--model", "leaving:Leaving", "--input", "image=1x3x13x18")
    process = start(small_checkpoint, "-t", "onnx", *model, "-o", out, cwd=tmp_path)
    stdout, stderr = process.communicate(timeout=180)
    assert (process.returncode, stdout) == (REFUSED, "")
    assert "network's own code ended the process (exit code 0)" in one_line(stderr)
    assert list(out.iterdir()) == []


def _job_of(process: subprocess.Popen[str]) -> int:
    text = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
    return int(text.split()[0])


@pytest.mark.parametrize("whom", ["job", "command"])
def test_a_kill_from_outside(whom: str, small_checkpoint: Path, out: Path) -> None:
    process = start(small_checkpoint, "-t", "onnx", *SMALL, "-o", out)
    end = time.monotonic() + 180
    while not list(out.glob(".cnn-export-*")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.01)
    job = _job_of(process)
    os.kill(job if whom == "job" else process.pid, signal.SIGKILL)
    stderr = process.communicate(timeout=180)[1]
    if whom == "job":
        assert process.returncode == 128 + signal.SIGKILL
        assert "nothing was written" in one_line(stderr)
        assert list(out.iterdir()) == []
        return
    assert process.returncode == -signal.SIGKILL
    while Path(f"/proc/{job}/cmdline").exists() and Path(f"/proc/{job}/cmdline").read_bytes():
        assert time.monotonic() < end  # it dies with its parent
        time.sleep(0.01)
    from cnn_export.atomic_commit import settle

    settle(out)
    assert list(out.iterdir()) == []
