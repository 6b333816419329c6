"""Watch a phone's clocks, heat and load while a process is timed, from one shell loop on it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Self

from cnn_export.benchmarks.devices.adb.watch.phone_fitness import (
    last_busy_s,
    phone_conditions,
    timed_part,
    watcher_load,
)
from cnn_export.benchmarks.devices.adb.watch.watcher_output import Reader, Round
from cnn_export.benchmarks.devices.adb.watch.watcher_script import WATCHER
from cnn_export.benchmarks.results.record_types import Conditions
from cnn_export.errors import DeviceUnfit

if TYPE_CHECKING:
    from cnn_export.benchmarks.devices.adb.connection.phone import Phone, Running

PERIOD_S = 0.2
PID_FILE = "/data/local/tmp/cnn-bench.guardian/pid"
"""Where the timed process's id lies (see :func:`announcing`): the guard clears it away."""
_START_S = 10.0
"""What the loop may take to begin; without it the process is timed all the same."""
_LOOKED_AT_S = 0.5
"""A timed part of this length has been looked at, unless something is wrong."""
_ROUNDS_MAX = 20_000

_ANNOUNCE = '{ echo $$ >"$0"; } 2>/dev/null; exec "$@"'


def announcing(argv: Iterable[str]) -> list[str]:
    """Return a command that leaves its process id where the watcher looks, then becomes ``argv``.

    Without it nobody can tell the timed process's CPU time from that of others.
    """
    return ["sh", "-c", _ANNOUNCE, PID_FILE, *argv]


class Watcher:
    """Watches between :meth:`begin` and :meth:`finish`, inside a ``with``.

    The loop starts with the ``with``, so that its start disturbs nothing that is timed.
    """

    def __init__(
        self,
        phone: Phone,
        cpus: Iterable[int] = (),
        period_s: float = PERIOD_S,
        pid_file: str = PID_FILE,
    ) -> None:
        self._phone = phone
        self._cpus = tuple(cpus)
        self._words = [str(period_s), pid_file, *map(str, self._cpus)]
        self._reader = Reader()
        self._started = threading.Event()
        self._running: Running | None = None
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._begin_s: float | None = None
        self._end_s: float | None = None
        self._late = False

    def __enter__(self) -> Self:
        """Start the loop.

        Raises:
            DeviceLost: the phone is not there.
        """
        self._running = self._phone.start(["sh", "-c", WATCHER, "cnn-bench-watcher", *self._words])
        self._thread.start()
        self._started.wait(_START_S)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._running is not None:
            with suppress(DeviceUnfit):
                self._running.close()
            self._thread.join()

    def begin(self) -> None:
        """Mark that the process starts to warm up and to time. A second call does nothing."""
        if self._begin_s is None:
            self._begin_s = time.monotonic()

    def begin_unheard(self) -> None:
        """Mark that the process starts, whose report will come only after its end."""
        self.begin()
        self._late = True

    def finish(self) -> None:
        """Mark that the process has taken its last sample. A second call does nothing."""
        if self._end_s is None:
            self._end_s = time.monotonic()

    @property
    def rounds(self) -> int:
        """How often the loop has looked so far."""
        return len(self._reader.rounds)

    def conditions(self, timed_s: float | None = None, given: Iterable[str] = ()) -> Conditions:
        """Judge the last ``timed_s`` seconds before :meth:`finish`; ``None``: all between both.

        ``given`` are flags that are known already.
        """
        rounds = list(self._reader.rounds)
        seen = self._timed(rounds, timed_s)
        # A part that is shorter than the loop's period may well fall between two looks.
        silent = not seen and (timed_s is None or timed_s > _LOOKED_AT_S)
        unwatched = silent or not self._reader.watching
        flags = [*given, "unwatched"] if unwatched else list(given)
        found = phone_conditions(seen, dict(self._reader.clusters), self._cpus, flags)
        return found.model_copy(update={"watcher_load": watcher_load(rounds)})

    def _timed(self, rounds: list[Round], timed_s: float | None) -> list[Round]:
        begin_s, end_s = self._begin_s, self._end_s
        if self._late:
            end_s = last_busy_s(rounds)
        if begin_s is None or end_s is None:
            return []
        return timed_part(rounds, begin_s, end_s, timed_s)

    def _read(self) -> None:
        running = self._running
        if running is None:
            return
        with suppress(DeviceUnfit):
            for line in running.lines():
                self._reader.take(line, time.monotonic())
                if self._reader.watching:
                    self._started.set()
                if len(self._reader.rounds) >= _ROUNDS_MAX:
                    break
        self._started.set()  # or it never will
