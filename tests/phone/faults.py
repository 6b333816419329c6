"""What may go wrong with a fake phone. The default is nothing."""

from __future__ import annotations

import dataclasses
import json


@dataclasses.dataclass(frozen=True)
class RunnerFaults:
    """What the runner does wrong, counted in the lines that it writes (from 1)."""

    kill_after_lines: int | None = None
    """The kernel kills it (low memory) once it has written so many."""
    hang_after_lines: int | None = None
    half_line: int | None = None
    """This line is cut in half, and the runner ends with success."""
    lines_after_end: int = 0
    clock_backwards_line: int | None = None
    """The time in this line is negative."""
    noise: bool = False
    """Log lines of others between its own."""
    escapes: bool = False
    """The runtime's version in ``hello`` tries to command the user's terminal."""
    exit_code: int | None = None
    """The status it ends with, whatever it wrote."""

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self))


@dataclasses.dataclass(frozen=True)
class Faults:
    """What goes wrong around the runner. Lines are those of runners started through the shell."""

    runner: RunnerFaults = RunnerFaults()
    unplug_after_lines: int | None = None
    """The cable is pulled, once; ``FakePhone.plug`` puts it back."""
    reboot_after_lines: int | None = None
    reboot_s: float = 1.0
    """How long the phone is away while it starts again."""
    shell_delay_s: float = 0.0
