"""Everything around a process on a phone: settings held, waiting, watching, lost and found."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import threading
import time
from collections.abc import Callable, Generator, Sequence
from typing import TYPE_CHECKING

from cnn_export.benchmarks.devices.adb.lifecycle.settings_guard import SettingsGuard
from cnn_export.benchmarks.devices.adb.lifecycle.settings_policy import (
    SettingsPolicy,
    require_granted,
    wanted_changes,
)
from cnn_export.benchmarks.devices.adb.lifecycle.waiting import (
    Limits,
    State,
    look,
    passing,
    unmet,
    wait_until_fit,
)
from cnn_export.benchmarks.devices.adb.watch.phone_fitness import timed_seconds
from cnn_export.benchmarks.devices.adb.watch.watcher import Watcher
from cnn_export.benchmarks.devices.contract import Outcome, Preparation
from cnn_export.benchmarks.results.record_types import FIXED_PERFORMANCE
from cnn_export.errors import DestinationError, DeviceLost, DeviceUnfit, ExportError, Interrupted

if TYPE_CHECKING:
    from cnn_export.benchmarks.devices.adb.connection.phone import Phone, Running
    from cnn_export.benchmarks.results.session import Session

RECONNECT_S = 60.0
LOSSES_MAX = 3
"""A phone that goes away this often in one process is brought down by it."""
_LOOK_EVERY_S, _ANSWER_S = 0.5, 5.0
_FRESH_S = 2.0
"""A phone neither warms nor empties its battery noticeably in this time."""

Work = Callable[[Watcher], "Session"]


@dataclasses.dataclass(frozen=True)
class PhonePolicy:
    """How a phone is treated. It has ``reconnect_s`` to come back when it is lost."""

    settings: SettingsPolicy = dataclasses.field(default_factory=SettingsPolicy)
    limits: Limits = dataclasses.field(default_factory=Limits)
    reconnect_s: float = RECONNECT_S


class PhoneLifecycle:
    """Attends one phone for the time of a run. ``tell`` is told what is waited for."""

    def __init__(
        self,
        phone: Phone,
        policy: PhonePolicy | None = None,
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._phone = phone
        self._policy = policy or PhonePolicy()
        self._tell = tell
        self._guard: SettingsGuard | None = None
        self._running: Running | None = None
        self._stopping = threading.Event()
        self._why_stopped = ""
        self._seen = (-math.inf, State())
        """When the phone was last looked at after a process, and what it was like."""
        self._in_vain = False
        """Whether the last wait ended with a phone that was unfit: the next will not be better."""

    def unfit(self) -> list[str]:
        """Wait until the phone is fit, with the bound; return the flags that are left.

        Raises:
            DeviceLost: it is not there.
        """
        return self._waited()[0]

    @contextlib.contextmanager
    def prepared(self) -> Generator[Preparation]:
        """Hold the wished settings inside a ``with``; what cannot be put back becomes a note.

        Raises:
            UsageError: the phone cannot do what was asked for by name.
            DeviceUnfit: another run holds the phone, or it has no room for a journal.
            DeviceLost: it is not there.
        """
        guard = self._guard = SettingsGuard(self._phone, self._wanted())
        preparation = Preparation()
        try:
            guard.begin()
            reason = guard.refusals.get(FIXED_PERFORMANCE, "")
            require_granted(self._policy.settings, guard.changes, reason)
            preparation.changes += guard.changes
            yield preparation
        finally:
            self._guard = None
            preparation.notes += [
                f"{change.name} may not be back at {change.before} on phone {self._phone.name}: it"
                " puts that back by itself once it is there, else the next run does"
                for change in guard.end()
            ]

    def run(self, work: Work, cpus: Sequence[int] = ()) -> Outcome:
        """Do ``work``, which starts a process and returns its report, and judge the conditions.

        ``work`` calls ``begin`` and ``finish`` of the watcher. A phone that is lost meanwhile is
        waited for, its settings are made anew, and the work is repeated from its start.

        Raises:
            ExportError: as ``work``.
            DeviceUnfit: the phone stays away, or is lost again and again, or its disk is full.
            Interrupted: :meth:`stop` was called.
        """
        try:
            return self._persistently(work, cpus)
        except ExportError:
            if self._stopping.is_set():
                raise Interrupted(self._why_stopped) from None
            raise

    def _persistently(self, work: Work, cpus: Sequence[int]) -> Outcome:
        for losses in range(LOSSES_MAX):
            if self._stopping.is_set():
                break
            try:
                return self._attempt(work, cpus)
            except DestinationError as error:
                raise DeviceUnfit(str(error)) from error
            except DeviceUnfit as error:
                if not self._is_lost(error):
                    raise
                if losses == LOSSES_MAX - 1:
                    raise DeviceUnfit(f"lost {LOSSES_MAX} times in one process: {error}") from error
                self._regain(error)
        raise Interrupted(self._why_stopped)

    def started(self, running: Running) -> None:
        """Take note of the process that :meth:`stop` has to end."""
        self._running = running
        if self._stopping.is_set():
            running.close()

    def stop(self, why: str) -> None:
        """End what another thread waits for or runs, now and from now on."""
        self._why_stopped = why
        self._stopping.set()
        if self._running is not None:
            self._running.close()

    def _attempt(self, work: Work, cpus: Sequence[int]) -> Outcome:
        guard = self._guard
        if guard is not None and not guard.holds():
            guard.begin()
        flags, before = self._fitness()
        with Watcher(self._phone, cpus) as watcher:
            session = work(watcher)
        if not session.end.settled:
            flags.append("not_settled")
        after = look(self._phone)
        self._seen = (time.monotonic(), after)
        if _throttles(after, session) and "thermal_throttled" not in flags:
            flags.append("throttled")
        found = watcher.conditions(timed_seconds(session), flags)
        if not found.temperature_c:
            found = found.model_copy(update={"temperature_c": _temperatures(before, after)})
        return Outcome(session, found)

    def _fitness(self) -> tuple[list[str], State]:
        """Wait until the phone is fit. Right after another process its look will do: it was fit."""
        limits = self._policy.limits
        seen_s, state = self._seen
        if time.monotonic() - seen_s < _FRESH_S and not unmet(state, limits):
            self._in_vain = False
            return [], state
        return self._waited()

    def _waited(self) -> tuple[list[str], State]:
        """Wait with the bound; a wait in vain is not repeated before the phone was fit again."""
        limits = self._policy.limits
        if self._in_vain:
            limits = dataclasses.replace(limits, wait_s=0.0)
        flags, state = wait_until_fit(self._phone, limits, stopping=self._stopping, tell=self._tell)
        self._in_vain = passing(state, flags)
        return flags, state

    def _is_lost(self, error: DeviceUnfit) -> bool:
        if isinstance(error, DeviceLost):
            return True
        try:
            self._phone.shell(["true"])
        except DeviceUnfit:
            return True
        return False

    def _regain(self, lost: DeviceUnfit) -> None:
        """Wait until the phone has started and answers.

        Raises:
            DeviceUnfit: it stays away; says for how long it was waited for.
        """
        until = time.monotonic() + self._policy.reconnect_s
        while (left := until - time.monotonic()) > 0 and not self._stopping.is_set():
            self._tell(f"lost, waiting at most {left:.0f} s more for it to come back")
            with contextlib.suppress(DeviceUnfit):
                if self._has_started():
                    return
            self._stopping.wait(min(_LOOK_EVERY_S, left))
        waited = f"it did not come back in {self._policy.reconnect_s:.0f} s"
        raise DeviceUnfit(f"{lost}; {waited}") from lost

    def _has_started(self) -> bool:
        told = self._phone.shell(["getprop", "sys.boot_completed"], timeout_s=_ANSWER_S)
        return told.stdout.strip() == b"1"

    def _wanted(self) -> list[str]:
        told = self._phone.shell(["getprop", "ro.build.version.sdk"]).stdout.strip()
        level = int(told) if told.isdigit() and len(told) < 4 else None
        charging = look(self._phone).battery.charging
        return wanted_changes(self._policy.settings, level, charging=charging)


def _throttles(after: State, session: Session) -> bool:
    """Whether the phone itself, or the process on it, says that heat slows it by now."""
    told = session.after.thermal_status if session.after else None
    return bool(after.thermal.status or told)


def _temperatures(*states: State) -> list[float]:
    return [state.temperature_c for state in states if state.temperature_c is not None]
