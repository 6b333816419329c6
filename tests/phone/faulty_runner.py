"""Stands before a real runner and spoils what it says: ``faulty_runner.py FAULTS COMMAND…``.

``FAULTS`` is ``RunnerFaults.to_json()``. The real runner's ``out`` is taken over, so that both ways
of reporting carry the same damage. Standard library only: it runs under ``python -I -S``.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

NOISE = "11-26 10:00:00.123  4242  4242 I tflite  : Replacing 42 nodes with delegate\n"
ESCAPES = "1.0\\u001b[2J\\u001b]0;owned\\u0007"


class Spoiler:
    def __init__(self, faults: dict[str, Any], out: str | None) -> None:
        self._faults = faults
        self._out = Path(f"{out}.partial").open("w") if out else None  # noqa: SIM115 - closed in _leave
        self._count = 0

    def take(self, line: str, child: subprocess.Popen[str]) -> None:
        faults = self._faults
        self._count += 1
        if faults["noise"]:
            self._write(NOISE)
        if self._count == faults["half_line"]:
            self._write(line[: len(line) // 2])
            child.kill()
            self._leave(0)
        self._write(self._changed(line))
        if self._count == faults["kill_after_lines"]:
            child.kill()
            os.kill(os.getpid(), signal.SIGKILL)
        if self._count == faults["hang_after_lines"]:
            time.sleep(3600)

    def _changed(self, line: str) -> str:
        message = json.loads(line) if line.startswith("{") else {}
        if self._count == self._faults["clock_backwards_line"]:
            return json.dumps(message | {"ns": -5}, separators=(",", ":")) + "\n"
        if self._faults["escapes"] and message.get("cnn_bench") == "hello":
            return line.replace(f'"version":"{message["version"]}"', f'"version":"{ESCAPES}"')
        return line

    def end(self, exit_code: int) -> None:
        for _ in range(self._faults["lines_after_end"]):
            self._write('{"cnn_bench":"sample","ns":5}\n')
        wanted = self._faults["exit_code"]
        self._leave(exit_code if wanted is None else wanted)

    def _write(self, text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()
        if self._out is not None:
            self._out.write(text)
            self._out.flush()

    def _leave(self, exit_code: int) -> None:
        if self._out is not None:
            self._out.close()
            Path(self._out.name).rename(self._out.name.removesuffix(".partial"))
        os._exit(exit_code)


def main(faults: dict[str, Any], command: list[str]) -> None:
    out = next((word[4:] for word in command if word.startswith("out=")), None)
    inner = [word for word in command if not word.startswith("out=")]
    child = subprocess.Popen(inner, stdout=subprocess.PIPE, text=True)
    spoiler = Spoiler(faults, out)
    assert child.stdout is not None
    for line in child.stdout:
        spoiler.take(line, child)
    spoiler.end(child.wait())


if __name__ == "__main__":
    main(json.loads(sys.argv[1]), sys.argv[2:])
