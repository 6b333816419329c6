"""The wheel in an environment of its own, outside of the tree, as a user's machine has it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

_MEGABYTE = 2**20
_UV = Path(sys.executable).with_name("uv")
_LIMIT_S = 900


class Environment:
    """A virtual environment with the wheel and some extras, and a folder to work in.

    Installing takes packages from an index.
    """

    def __init__(self, folder: Path, wheel: Path, extras: str = "") -> None:
        self.work = folder / "work"
        self.work.mkdir()
        self._folder = folder / "environment"
        self._run(_UV, "venv", "-q", "-p", sys.executable, self._folder).check_returncode()
        self.install(f"{wheel}{extras}")

    def install(self, requirement: str) -> None:
        """Add a requirement, as ``pip install`` does."""
        python = self._folder / "bin" / "python"
        done = self._run(_UV, "pip", "install", "-q", "-p", python, requirement)
        assert done.returncode == 0, done.stderr

    def __call__(self, command: str, *arguments: object) -> subprocess.CompletedProcess[str]:
        """Run a program of the environment."""
        return self._run(self._folder / "bin" / command, *arguments)

    def _run(self, program: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(program), *map(str, arguments)],
            cwd=self.work,
            capture_output=True,
            text=True,
            timeout=_LIMIT_S,
            check=False,
        )

    def size_mb(self) -> float:
        """Return what the environment holds on disk."""
        files = (path for path in self._folder.rglob("*") if path.is_file())
        return sum(path.stat().st_size for path in files) / _MEGABYTE
