"""A device that does as it is told, and lines that a worker might have written."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Generator, Sequence
from pathlib import Path

from cnn_export.benchmarks.devices.contract import Cluster, Job, Outcome, Preparation
from cnn_export.benchmarks.results import record_types
from cnn_export.benchmarks.results.protocol import End, Hello, MemoryUse, PairSample, Sample
from cnn_export.benchmarks.results.session import Session
from cnn_export.benchmarks.runtimes.runtime_registry import runtime_of
from cnn_export.errors import ExportError, Interrupted

DEVICE = record_types.Device(
    id="scripted", kind="host", model="paper", cpus=2, memory_bytes=10**9, system="none"
)
Answer = Callable[[Job], Outcome]


def hello_of(path: Path, threads: int = 1) -> Hello:
    return Hello(
        runtime=runtime_of(path).package, version="1.2", threads=threads, load_ns=50, first_ns=9
    )


def good_outcome(job: Job, flags: tuple[str, ...] = ()) -> Outcome:
    """Three inferences of 1, 2 and 3 µs; a second artifact takes twice as long."""
    hellos = tuple(hello_of(path, job.threads) for path in job.artifacts)
    samples = {
        "time": tuple(Sample(ns=1000 * n) for n in (1, 2, 3)),
        "pair": tuple(PairSample(a_ns=1000 * n, b_ns=2000 * n) for n in (1, 2, 3)),
        "memory": (MemoryUse(peak_rss_bytes=900, peak_pss_bytes=500, baseline_rss_bytes=400),),
    }[job.kind]
    session = Session(hellos, samples, End(count=len(samples), warm_up=4))
    return Outcome(session, record_types.Conditions(flags=list(flags)))


def press_interrupt() -> None:
    """Ctrl-C, as the main thread hears it."""
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)


class ScriptedDevice:
    """Answers the n-th job with ``answers[n]``; whatever is not scripted goes well.

    ``KeyboardInterrupt`` is Ctrl-C while the job runs, which then goes on until it is stopped.
    """

    def __init__(
        self, answers: dict[int, Answer | BaseException] | None = None, unfit: tuple[str, ...] = ()
    ) -> None:
        self.jobs: list[Job] = []
        self.facts = DEVICE
        self.unready: ExportError | None = None
        """Why the device cannot even be described."""
        self.unprepared: ExportError | None = None
        """Why it cannot be made ready."""
        self.calls: list[str] = []
        """What happened besides jobs."""
        self.answers: dict[int, Answer | BaseException] = answers or {}
        self._unfit = unfit
        self.stopped = threading.Event()
        self.why_stopped = ""

    @property
    def name(self) -> str:
        return self.facts.id

    def stop(self, why: str) -> None:
        self.why_stopped = why
        self.stopped.set()

    def until_stopped(self, _: Job) -> Outcome:
        """A job without end."""
        assert self.stopped.wait(20)
        raise Interrupted(self.why_stopped)

    def require_runtimes(self, packages: Sequence[str]) -> None:
        del packages

    def cluster(self, name: Cluster) -> tuple[int, ...]:
        return {"big": (1,), "little": (0,)}[name]

    def describe(self) -> record_types.Device:
        if self.unready is not None:
            raise self.unready
        return self.facts

    @contextlib.contextmanager
    def prepared(self) -> Generator[Preparation]:
        if self.unprepared is not None:
            raise self.unprepared
        self.calls.append("ready")
        try:
            yield Preparation()
        finally:
            self.calls.append("back")

    def unfit(self, threads: int, cpus: tuple[int, ...]) -> list[str]:
        del threads, cpus
        return list(self._unfit)

    def run(self, job: Job) -> Outcome:
        answer = self.answers.get(len(self.jobs), good_outcome)
        self.jobs.append(job)
        if isinstance(answer, KeyboardInterrupt):
            press_interrupt()
            return self.until_stopped(job)
        if isinstance(answer, BaseException):
            raise answer
        return answer(job)
