"""Hold a phone's settings for the time of a run, and have them put back whatever happens.

The phone itself puts them back (:mod:`.settings_guard_script`): this host may be
killed, and then nobody else is left to do it.
"""

from __future__ import annotations

import dataclasses
import secrets
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from cnn_export.benchmarks.devices.adb.connection.device_text import clean
from cnn_export.benchmarks.devices.adb.lifecycle.settings_guard_script import GUARD, MARK
from cnn_export.benchmarks.devices.adb.lifecycle.settings_policy import NAMES, UNKNOWN
from cnn_export.benchmarks.results.record_types import SettingChange
from cnn_export.errors import DeviceLost, DeviceUnfit

if TYPE_CHECKING:
    from cnn_export.benchmarks.devices.adb.connection.phone import Phone, Running

FOLDER = "/data/local/tmp/cnn-bench.guardian"
"""Its own: whoever tidies the runner's folder away must not take the journal along."""
PATIENCE_S = 60.0
"""What a phone may take for all changes together; ``settings`` starts a Java process each time."""
LOOKS = 25
"""How often a guard looks whether one before it has ended: for five seconds."""

_LINES_MAX = 1000


@dataclasses.dataclass
class _Said:
    """What the guard's lines tell."""

    changes: list[SettingChange] = dataclasses.field(default_factory=list[SettingChange])
    refusals: dict[str, str] = dataclasses.field(default_factory=dict[str, str])
    left: list[SettingChange] = dataclasses.field(default_factory=list[SettingChange])
    verdict: str = ""


class SettingsGuard:
    """The changes that ``wanted`` names (see ``settings_policy.wanted_changes``), on one phone."""

    def __init__(
        self,
        phone: Phone,
        wanted: Sequence[str],
        folder: str = FOLDER,
        patience_s: float = PATIENCE_S,
        looks: int = LOOKS,
    ) -> None:
        self.changes: list[SettingChange] = []
        """What was really changed."""
        self.refusals: dict[str, str] = {}
        """What the phone would not change, and its words."""
        self._phone = phone
        self._wanted = tuple(wanted)
        self._folder = folder
        self._patience_s = patience_s
        self._looks = looks
        self._token = secrets.token_hex(8)
        self._running: Running | None = None
        self._lines: Iterator[bytes] = iter(())

    def begin(self) -> None:
        """Put back what an earlier run left behind, then make the changes.

        Called again, after the phone was lost, it makes them anew.

        Raises:
            DeviceUnfit: another run holds the phone, it cannot keep a journal (its disk is full),
                or an earlier run's change cannot be undone.
            DeviceLost: it went away.
        """
        self._drop()
        words = ["sh", "-c", GUARD, MARK, self._folder, self._token]
        words += [str(self._looks), *self._wanted]
        self._running = self._phone.start(words)
        self._lines = self._running.lines()
        said = self._listen(("ready", "busy", "failed"))
        if said.verdict != "ready":
            self._drop()
            raise _refusal(self._phone.name, said, self._folder)
        self.changes, self.refusals = said.changes, said.refusals

    def holds(self) -> bool:
        """Whether the phone still has the changes: they go when the connection breaks.

        Asks nothing of the phone: a guard that ended would have said so, or been cut off.
        """
        return self._running is not None and self._running.silent()

    def end(self) -> list[SettingChange]:
        """Have everything put back; return what could not be, or perhaps was not.

        A phone that went away puts it back by itself, or at the next run after a reboot.
        """
        if self._running is None:
            return []
        try:
            with suppress(DeviceUnfit):
                self._running.close_stdin()
            said = self._listen(("restored",))
        except DeviceUnfit:
            return list(self.changes)
        finally:
            self._drop()
        return said.left if said.verdict or said.left else list(self.changes)

    def _listen(self, verdicts: Sequence[str]) -> _Said:
        """Read lines up to a verdict or the end; without one for too long, the stream is closed."""
        said = _Said()
        watchdog = threading.Timer(self._patience_s, self._drop)
        watchdog.daemon = True
        watchdog.start()
        try:
            for _, line in zip(range(_LINES_MAX), self._lines, strict=False):
                _note(said, line)
                if said.verdict.split(" ")[0] in verdicts:
                    break
        finally:
            watchdog.cancel()
        if not said.verdict and "restored" not in verdicts:
            raise DeviceLost(f"phone {self._phone.name} was lost while its settings were changed")
        return said

    def _drop(self) -> None:
        running, self._running = self._running, None
        if running is not None:
            with suppress(DeviceUnfit):
                running.close()


def _note(said: _Said, line: bytes) -> None:
    """Take in one line; whatever is not the guard's is skipped."""
    kind, _, rest = clean(line, 300).partition(" ")
    name, _, words = rest.partition(" ")
    if kind == "changed" and name in NAMES and len(values := words.split(" ")) == 2:
        said.changes.append(SettingChange(name=name, before=values[0], during=values[1]))
    elif kind == "refused" and name in NAMES:
        said.refusals[name] = words
    elif kind == "left" and name in NAMES:
        said.left.append(SettingChange(name=name, before=words or UNKNOWN, during=UNKNOWN))
    elif kind in ("ready", "restored") or (kind in ("busy", "failed") and rest):
        said.verdict = f"{kind} {rest}".strip()


def _refusal(phone: str, said: _Said, folder: str) -> DeviceUnfit:
    kind, _, rest = said.verdict.partition(" ")
    if kind == "busy":
        return DeviceUnfit(
            f"another cnn-bench holds phone {phone} (process {rest} there); wait for its end"
        )
    if said.left:
        names = ", ".join(f"{change.name} (was {change.before})" for change in said.left)
        return DeviceUnfit(
            f"phone {phone} does not put back what an earlier run changed: {names}; set it by hand,"
            f" then remove {folder} there"
        )
    return DeviceUnfit(f"phone {phone} {rest.replace('to ', 'cannot ', 1)}: is its disk full?")
