"""Both commands end alike, whatever ends them: one table of cases, as processes of their own."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import made_results as made
import pytest

from cnn_export.__main__ import main as export_main
from cnn_export.benchmarks.cli import main as bench_main
from cnn_export.command_line.edge import is_debug

COMMANDS = {"cnn-export": "cnn_export", "cnn-bench": "cnn_export.benchmarks"}
BOTH = tuple(COMMANDS)
SAID = "Ünknown-≤-名"
"""A wrong option that no ASCII, Latin-1 or cp1252 stream can show whole."""

OVER_BUDGET = ("gate", "results.jsonl", "--budgets", "budgets.toml")
"""Its table is printed through rich and holds ≤; the verdict follows on stderr."""

ENDLESS = """
import time, click
from pathlib import Path

def wait(*_, **__):
    Path("running").touch()
    time.sleep(600)

click.core.echo = click.decorators.echo = wait
"""
"""As ``sitecustomize``: a command that never comes to the end of what it prints."""

TOLD_TWICE = (
    "import os, signal; from cnn_export.command_line import edge; told = edge.tell\n"
    "edge.tell = lambda line: (os.kill(os.getpid(), signal.SIGINT), told(line))\n"
    "import click; click.core.echo = click.decorators.echo ="
    " lambda *_, **__: os.kill(os.getpid(), signal.SIGTERM)"
)
"""A second signal while the first is told."""

WITHOUT_MODULE = """
import click

def load(*_, **__):
    import click.gone

click.core.echo = click.decorators.echo = load
"""
"""A package that is installed, and has no longer what is asked of it."""

WARNS = """
import click, threading

def warn(*_, **__):
    from cnn_export.command_line.console import warn
    thread = threading.Thread(target=warn, args=("careful",))
    thread.start(), thread.join()

click.core.echo = click.decorators.echo = warn
"""
"""A warning from a thread, as one of several devices has."""

WITHOUT_PACKAGES = "import sys; sys.modules['torch'] = sys.modules['pydantic'] = None"
FAULTY = "import click; click.core.echo = click.decorators.echo = lambda *_, **__: 1 // 0"


@dataclasses.dataclass(frozen=True)
class Case:
    """Arguments, the shell's redirections, and how both commands must end.

    Attributes:
        said: what the one line on stderr contains; nothing is on stderr where it is ``None``.
        shown: what stdout contains.
        site: code that runs before the command, as ``sitecustomize``.
    """

    arguments: tuple[str, ...]
    code: int
    said: str | None = None
    shown: str = ""
    redirected: str = ""
    encoding: str = "utf-8"
    site: str = ""
    commands: tuple[str, ...] = BOTH


def _encoded(encoding: str) -> dict[str, Case]:
    def replaced(text: str) -> str:
        return text.encode(encoding, errors="backslashreplace").decode(encoding)

    wrong = Case((f"--{SAID}",), 2, replaced(SAID), encoding=encoding)
    verdict = Case(
        OVER_BUDGET, 10, "missed", replaced("≤"), encoding=encoding, commands=("cnn-bench",)
    )
    return {f"{encoding}, wrong option": wrong, f"{encoding}, verdict": verdict}


HELP = ("--help",)
FULL = "cannot write to standard output: No space left on device"
CASES = {
    "done": Case(HELP, 0, None, "Usage: "),
    "version": Case(("--version",), 0, None, "0.1.0"),
    "warning": Case(HELP, 0, "careful", site=WARNS),
    "wrong option": Case(("--outptu",), 2, "--help"),
    "no argument": Case((), 2, "--help"),
    "internal error": Case(HELP, 1, "internal error: ZeroDivisionError", site=FAULTY),
    "missing module": Case(HELP, 1, "internal error: ModuleNotFoundError", site=WITHOUT_MODULE),
    "second signal": Case(HELP, 143, "terminated", site=TOLD_TWICE, commands=("cnn-bench",)),
    "missing package, export": Case(
        ("net.pt", "-t", "onnx"), 5, "pip install", site=WITHOUT_PACKAGES, commands=("cnn-export",)
    ),
    "missing package, bench": Case(
        OVER_BUDGET, 5, "pip install", site=WITHOUT_PACKAGES, commands=("cnn-bench",)
    ),
    **_encoded("utf-8"),
    **_encoded("ascii"),
    **_encoded("latin-1"),
    **_encoded("cp1252"),
    "full stdout": Case(HELP, 4, FULL, redirected=">/dev/full"),
    "full stdout, table": Case(
        OVER_BUDGET, 4, FULL, redirected=">/dev/full", commands=("cnn-bench",)
    ),
    "full stderr": Case(("--outptu",), 2, redirected="2>/dev/full"),
    "full stderr, verdict": Case(
        OVER_BUDGET, 10, None, "≤", redirected="2>/dev/full", commands=("cnn-bench",)
    ),
    "closed stdin": Case(HELP, 0, None, "Usage: ", redirected="<&-"),
    "closed streams": Case(HELP, 0, redirected="<&- >&-"),
    "closed stdout, wrong option": Case(("--outptu",), 2, "--help", redirected="<&- >&-"),
    "closed stdout, verdict": Case(
        OVER_BUDGET, 10, "missed", redirected="<&- >&-", commands=("cnn-bench",)
    ),
    "closed stderr": Case(("--outptu",), 2, redirected="2>&-"),
    "all closed": Case(HELP, 0, redirected="<&- >&- 2>&-"),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A current folder with results of 10 ms and a budget of 9 ms."""
    made.save(tmp_path / "results.jsonl", [*made.opened(), *made.repeats_ms([10.0] * 6)])
    (tmp_path / "budgets.toml").write_text("[[budget]]\nlatency_ms = 9\n")
    return tmp_path


def _environment(folder: Path, encoding: str, site: str) -> dict[str, str]:
    (folder / "site").mkdir()
    (folder / "site" / "sitecustomize.py").write_text(site)
    return {**os.environ, "PYTHONPATH": str(folder / "site"), "PYTHONIOENCODING": encoding}


@pytest.mark.parametrize(
    ("command", "case"),
    [
        pytest.param(command, case, id=f"{command}: {name}")
        for name, case in CASES.items()
        for command in case.commands
    ],
)
def test_how_a_command_ends(command: str, case: Case, folder: Path) -> None:
    arguments = [sys.executable, "-m", COMMANDS[command], *case.arguments]
    done = subprocess.run(
        ["sh", "-c", f'"$@" {case.redirected}', "sh", *arguments],
        cwd=folder,
        env=_environment(folder, case.encoding, case.site),
        capture_output=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    shown, said = done.stdout.decode(case.encoding), done.stderr.decode(case.encoding)
    assert done.returncode == case.code, said
    assert case.shown in shown
    if case.said is None:
        assert said == ""
    else:
        assert (case.said in said, said.count("\n")) == (True, 1), said
        assert said.startswith(f"{command}: ")
    assert {path.name for path in folder.iterdir()} == {"budgets.toml", "results.jsonl", "site"}


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        ("cnn-export", HELP),
        ("cnn-bench", HELP),
        ("cnn-bench", OVER_BUDGET),
        ("cnn-bench", (*OVER_BUDGET, "--junit", "/dev/stdout")),
    ],
)
def test_a_reader_that_leaves_is_no_error(
    command: str, arguments: tuple[str, ...], folder: Path
) -> None:
    """As in ``cnn-export --help | head -n 0``; also where rich writes."""
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", COMMANDS[command], *arguments],
        cwd=folder,
        stdout=writer,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (128 + signal.SIGPIPE, b"")


def _wait_for(condition: Callable[[], object], process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 180
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("number", "word"),
    [(signal.SIGINT, "interrupted"), (signal.SIGHUP, "hung up"), (signal.SIGTERM, "terminated")],
)
@pytest.mark.parametrize("command", COMMANDS)
def test_a_signal(command: str, number: int, word: str, folder: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", COMMANDS[command], "--version"],
        cwd=folder,
        env=_environment(folder, "utf-8", ENDLESS),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    _wait_for((folder / "running").exists, process)
    process.send_signal(number)
    shown, said = process.communicate(timeout=180)
    assert (process.returncode, shown) == (128 + number, b"")
    assert said.decode().startswith(f"{command}: {word}")
    assert said.count(b"\n") == 1


@pytest.mark.parametrize(("command", "option"), [("cnn-export", "--tar"), ("cnn-bench", "--he")])
def test_a_shell_is_told_what_may_follow(
    command: str,
    option: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    variable = f"_{command.replace('-', '_').upper()}_COMPLETE"
    for name, value in ((variable, "bash_complete"), ("COMP_WORDS", f"{command} {option}")):
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("COMP_CWORD", "1")
    main: Callable[[list[str]], int] = {"cnn-export": export_main, "cnn-bench": bench_main}[command]
    assert main([]) == 0
    assert capsys.readouterr().out.startswith(f"plain,{option}")


def test_debug_behind_two_dashes_is_an_argument() -> None:
    assert is_debug(["net.pt", "--debug"])
    assert not is_debug(["--", "--debug"])


@pytest.mark.parametrize("place", ["before", "behind"])
@pytest.mark.parametrize(
    ("command", "arguments", "code"),
    [("cnn-export", ("net.pt",), 2), ("cnn-bench", OVER_BUDGET, 10)],
)
def test_debug_adds_the_traceback_anywhere_on_the_line(
    command: str, arguments: tuple[str, ...], code: int, place: str, folder: Path
) -> None:
    line = ("--debug", *arguments) if place == "before" else (*arguments, "--debug")
    done = subprocess.run(
        [sys.executable, "-m", COMMANDS[command], *line],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code
    lines = done.stderr.splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[-1].startswith(f"{command}: ")
