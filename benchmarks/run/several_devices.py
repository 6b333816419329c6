"""One call of ``cnn-bench run`` on several devices side by side: each its own queue and thread.

They share the file. What happens to one stops no other.
"""

from __future__ import annotations

import dataclasses
import functools
import secrets
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Generic, TypeVar

from cnn_export.benchmarks.devices.contract import Device
from cnn_export.benchmarks.results.results_file import Appender
from cnn_export.benchmarks.run.device_run import Checked, Group, check, work_off
from cnn_export.benchmarks.run.resume import Earlier, last_group
from cnn_export.benchmarks.run.run_job import require_resumable
from cnn_export.benchmarks.run.run_request import Finished, Request, kept_line
from cnn_export.benchmarks.run.runner import Progress
from cnn_export.errors import DeviceUnfit, ExportError, Interrupted, UsageError

_Value = TypeVar("_Value")
_LOOK_S = 0.2
"""How often the waiting thread wakes: a thread that waits without end hears no Ctrl-C."""


@dataclasses.dataclass(frozen=True)
class AllFinished:
    """What became of every device: a run, or why there is none."""

    finished: tuple[Finished, ...]
    failures: dict[str, ExportError]

    def first_failure(self, out: Path) -> ExportError | None:
        """Return what the command ends with; names every device that failed.

        An interruption, then a lost device, counts before anything else.
        """
        ended = {run.run.device.id: run.failure for run in self.finished} | self.failures
        failed = {name: error for name, error in ended.items() if error is not None}
        if not failed:
            return None
        done, total = (
            sum(getattr(run, name) for run in self.finished) for name in ("processes", "total")
        )
        told = "; ".join(f"{name}: {error}" for name, error in failed.items())
        kept = kept_line(done, total, out) if self.finished else "nothing was run"
        return _weightiest(list(failed.values()))(f"{told}; {kept}")


class _Part(threading.Thread, Generic[_Value]):
    """Work on one device; what it raises is kept, not lost with the thread."""

    def __init__(self, name: str, work: Callable[[], _Value]) -> None:
        super().__init__(daemon=True, name=name)
        self._work = work
        self.value: _Value | None = None
        self.error: BaseException | None = None
        self._ended = threading.Event()

    def ended_within(self, seconds: float) -> bool:
        """Wait for the end. An interrupted ``join`` of Python 3.11 takes a thread for ended."""
        return self._ended.wait(seconds)

    def run(self) -> None:
        try:
            self.value = self._work()
        except BaseException as error:
            self.error = error
        finally:
            self._ended.set()


def perform_all(
    request: Request,
    devices: Sequence[Device],
    report: Callable[[Progress], None] = lambda _: None,
) -> AllFinished:
    """Measure on every device what its plan still lacks.

    An interruption stops all of them; what each has measured is kept.

    Raises:
        UsageError: a device is named twice; there is nothing to resume.
        ExportError: no device can be used: why the first cannot.
        DestinationError: the file cannot be opened.
    """
    _require_distinct(devices)
    require_resumable(request)
    checks = {
        device.name: _Part(device.name, functools.partial(check, request, device))
        for device in devices
    }
    checked, failures, interrupted = _outcome(checks, devices)
    if interrupted:
        raise Interrupted("interrupted; nothing was run")
    if not checked:
        raise next(iter(failures.values()))
    with Appender(request.out) as appender:
        names = tuple(device.name for device in devices)
        parts = _parts(request, checked, names, appender, report)
        finished, lost, _ = _outcome(parts, devices)
    return AllFinished(tuple(finished.values()), failures | lost)


def _parts(
    request: Request,
    checked: dict[str, Checked],
    asked_for: tuple[str, ...],
    appender: Appender,
    report: Callable[[Progress], None],
) -> dict[str, _Part[Finished]]:
    """Return the work of each device; a device without a run in the resumed call begins one."""
    group, earlier = secrets.token_hex(8), dict[str, Earlier]()
    if request.resume:
        group, earlier = last_group(request.out, [each.described.id for each in checked.values()])
    return {
        name: _Part(
            name,
            functools.partial(
                work_off,
                request,
                each,
                appender,
                earlier.get(each.described.id),
                group=Group(group, asked_for),
                report=report,
            ),
        )
        for name, each in checked.items()
    }


def _outcome(
    parts: Mapping[str, _Part[_Value]], devices: Sequence[Device]
) -> tuple[dict[str, _Value], dict[str, ExportError], bool]:
    """Let all parts come to their end; return what they made, and why others made nothing.

    The last tells whether the user stopped them.
    """
    interrupted = False
    try:
        for part in parts.values():
            part.start()
        _join(parts.values())
    except KeyboardInterrupt:
        interrupted = True
        for device in devices:
            device.stop()
        _join(part for part in parts.values() if part.ident is not None)
    for part in parts.values():
        if part.error is not None and not isinstance(part.error, ExportError):
            raise part.error
    values = {name: part.value for name, part in parts.items() if part.value is not None}
    errors = {
        name: part.error for name, part in parts.items() if isinstance(part.error, ExportError)
    }
    return values, errors, interrupted


def _join(parts: Iterable[_Part[_Value]]) -> None:
    for part in parts:
        while not part.ended_within(_LOOK_S):
            pass


def _require_distinct(devices: Sequence[Device]) -> None:
    names = [device.name for device in devices]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"--device names {name} twice; give each device once")


def _weightiest(errors: Sequence[ExportError]) -> type[ExportError]:
    """Return the class whose exit code the call ends with."""
    for kind in (Interrupted, DeviceUnfit):
        if any(isinstance(error, kind) for error in errors):
            return kind
    return type(errors[0])
