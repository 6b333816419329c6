"""The phone's paths and the folder of this machine that stands for them.

A phone's command runs in a real shell here, on files below a private root. Its text is changed
before: every path that begins like one of the phone's gets the root in front. What the command
writes is changed back. The root holds no character that a shell or a pattern could mind, so
quoting inside the command is exactly what the host made of it.
"""

from __future__ import annotations

import re
from pathlib import Path

_OWN = (
    r"data|sdcard|sys|system|vendor|"
    r"proc/(?:sys/kernel/random/boot_id|sys/kernel/perf_event_paranoid|"
    r"cpuinfo|loadavg|meminfo|stat|uptime)"
)
_PHONE_PATH = re.compile(rf"(?<![\w./}}-])/(?=(?:{_OWN})(?![\w.-]))")


class Paths:
    """Maps between the phone's names and those below ``root``."""

    def __init__(self, root: Path) -> None:
        if not re.fullmatch(r"[\w./-]+", str(root)):
            raise ValueError(f"{root} would need quoting")
        self.root = root

    def here(self, path: str) -> Path:
        """Return where a path of the phone lies on this machine, whatever it is."""
        return self.root / path.lstrip("/")

    def command(self, text: str) -> str:
        """Return a shell command of the phone as one of this machine."""
        return _PHONE_PATH.sub(lambda _: f"{self.root}/", text)


class Unmapping:
    """Takes the root out of a stream of output, also where it is cut in two."""

    def __init__(self, root: Path) -> None:
        self._root = str(root).encode()
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        data = (self._held + data).replace(self._root, b"")
        keep = next(
            (n for n in range(len(self._root) - 1, 0, -1) if data.endswith(self._root[:n])), 0
        )
        # One byte alone is held back only until more is written: "/" ends many lines' halves.
        self._held = data[len(data) - keep :] if keep > 1 else b""
        return data[: len(data) - len(self._held)]

    def rest(self) -> bytes:
        return self._held
