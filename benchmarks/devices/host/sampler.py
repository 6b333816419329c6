"""Watch this host from a thread of the parent, never from inside the timed process."""

from __future__ import annotations

import os
import threading
from types import TracebackType
from typing import Self

from cnn_export.benchmarks.devices.host.host_counters import Snapshot, take_snapshot

PERIOD_S = 0.2
"""One look costs about half a millisecond; at this pace, a quarter of a percent of one CPU."""


class Sampler:
    """Takes snapshots while a worker runs, between :meth:`begin` and :meth:`finish`.

    Outside of them nothing is looked at.
    """

    def __init__(self, worker_pid: int, cpus: set[int], period_s: float = PERIOD_S) -> None:
        self._own = (worker_pid, os.getpid())
        self._cpus = cpus
        self._period_s = period_s
        self._done = threading.Event()
        self._snapshots: list[Snapshot] = []
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._begun = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._done.set()
        if self._begun:
            self._thread.join()

    def begin(self) -> None:
        """Mark that the worker starts to warm up and to time. A second call does nothing."""
        if not self._begun:
            self._begun = True
            self._look()
            self._thread.start()

    def finish(self) -> None:
        """Mark that the worker has taken its last sample. A second call does nothing."""
        if self._begun and not self._done.is_set():
            self._done.set()
            self._thread.join()
            self._look()

    @property
    def snapshots(self) -> list[Snapshot]:
        """What was seen between the two marks."""
        return list(self._snapshots)

    def _watch(self) -> None:
        while not self._done.wait(self._period_s):
            self._look()

    def _look(self) -> None:
        moment = take_snapshot(self._own, self._cpus)
        if moment is not None:
            self._snapshots.append(moment)
