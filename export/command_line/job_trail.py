"""What a job leaves of itself for the process that watches it, however the job ends.

The trail is shared memory, not a pipe: nothing waits for a reader, a process that dies at once has
written all it said, and what the network's code forks cannot keep it open.
"""

from __future__ import annotations

import json
import mmap
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

_BYTES = 64 * 1024
_END = b"\n"
_KEPT = {"written": 64, "end": 0}
"""Bytes that a line of a kind leaves free: how the job ended must find room in a full trail."""
_KEPT_BY_OTHERS = 128


class JobTrail:
    """Lines that one process appends and its parent reads after its end."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, _BYTES)
        self._writer: int | None = None

    def open_for_this_process(self) -> None:
        """Let this process write, and none that it forks."""
        self._writer = os.getpid()

    def step(self, name: str) -> None:
        """Note that the job has come to a step."""
        self._append("step", name)

    def destination(self, folder: Path, created: Sequence[Path]) -> None:
        """Note where files are made, and which folders are new, innermost first."""
        self._append("destination", [str(path.absolute()) for path in (folder, *created)])

    def written(self) -> None:
        """Note that the finished files are where they belong."""
        self._append("written", True)

    def end(self, code: int) -> None:
        """Note that the command came to its end and has said what there was to say."""
        self._append("end", code)

    def last(self, kind: str) -> Any:
        """Return what was last noted of a kind: ``step``, ``destination``, ``end``; or ``None``."""
        self._memory.seek(0)
        text = self._memory.read().rstrip(b"\0")
        whole = text[: text.rfind(_END) + 1]
        noted = [json.loads(line) for line in whole.splitlines()]
        return next((value for found, value in reversed(noted) if found == kind), None)

    def _append(self, kind: str, value: object) -> None:
        if self._writer != os.getpid():
            return
        line = json.dumps([kind, value]).encode() + _END
        if self._memory.tell() + len(line) + _KEPT.get(kind, _KEPT_BY_OTHERS) < _BYTES:
            self._memory.write(line)


TRAIL = JobTrail()
"""This process's; it is written only where a parent watches."""
