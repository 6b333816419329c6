"""Run the commands of a page as a reader does, with less time to measure."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from pages import Command

Value = TypeVar("Value")
_LIMIT_S = 1800
_STUDIES = "python -m cnn_export.benchmarks.studies."
_SHORTER = {
    "cnn-bench run": "--repeats 1 --min-time 10ms",
    "cnn-bench profile": "--inferences 5",
    "cnn-bench selfcheck": "--trials 100",
    f"{_STUDIES}trust_study simulate": "--trials 4",
    f"{_STUDIES}trust_study own-loops": "--processes 1",
    f"{_STUDIES}export_speed --startup-only": "",
    f"{_STUDIES}export_speed": "--target onnx",
    f"{_STUDIES}reparam_speed --time": "--rounds 3 --min-time-s 0.1",
    f"{_STUDIES}reparam_speed": "--network mobileone_s0",
}
"""How a command begins, and what is given to it besides; the first that fits counts."""
_ENDS = {"cnn-bench gate": (0, 10, 11), "cnn-bench selfcheck": (0, 12)}
"""Exit codes that are an answer."""


@dataclass(frozen=True)
class Place:
    """A folder to run commands in; ``done`` holds what the exports printed, which run once."""

    folder: Path
    done: dict[Command, str] = field(default_factory=dict[Command, str])

    def run(self, command: Command) -> str:
        """Run a command there and return its standard output."""
        if command not in self.done:
            output = self._run(command)
            if not command.text.startswith("cnn-export"):
                return output
            self.done[command] = output
        return self.done[command]

    def _run(self, command: Command) -> str:
        words, arrow, target = command.text.partition(" > ")
        line = f"{words} {shorter(words)}{arrow}{target}"
        path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
        done = subprocess.run(
            ["bash", "-c", line],
            cwd=self.folder, env={**os.environ, "PATH": path}, check=False,
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_LIMIT_S,
        )  # fmt: skip
        assert done.returncode in _first(_ENDS, words, (0,)), f"{line}\n{done.stdout}{done.stderr}"
        return done.stdout


def shorter(words: str) -> str:
    """Return the options that make a command take less time."""
    return _first(_SHORTER, words, "")


def _first(table: Mapping[str, Value], words: str, default: Value) -> Value:
    return next((value for begin, value in table.items() if words.startswith(begin)), default)
