"""Run the measuring app on a phone: read its report as it comes, bound its time, judge its end."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager

from cnn_export.benchmarks.devices.adb.connection.device_text import clean
from cnn_export.benchmarks.devices.adb.connection.phone import Phone, Running
from cnn_export.benchmarks.results.protocol import (
    Damaged,
    Failure,
    Hello,
    Message,
    PairSample,
    State,
    messages,
)
from cnn_export.benchmarks.results.session import (
    IncompleteRun,
    Measurement,
    Session,
    complete_session,
)
from cnn_export.errors import DeviceUnfit

_MESSAGES_MAX = 110_000
"""More than any runner sends: a timing loop keeps 100,000 samples."""
_SIGNAL = 128
"""adbd and shells report the end by signal n as 128 + n."""
_KILLED = _SIGNAL + 9
_MESSAGE_MAX = 1000


def run_session(
    phone: Phone,
    command: Sequence[str],
    limit_s: float,
    kind: type[Measurement],
    begin: Callable[[], None] = lambda: None,
    finish: Callable[[], None] = lambda: None,
    started: Callable[[Running], None] = lambda _: None,
) -> Session:
    """Run a command that reports like a worker, and return its whole report.

    ``begin`` is called when it has loaded its artifacts, ``finish`` at every message after that:
    measurements are written when the last is taken. ``started`` gets the command, so that another
    thread may end it.

    Raises:
        ExportError: what the runner reported; see :func:`complete_session`.
        IncompleteRun: it crashed, was killed, took longer than ``limit_s``, or its report has a
            gap.
        DeviceUnfit: the phone was lost before the report was whole.
    """
    running = phone.start(command)
    try:
        started(running)
        with _ended_after(running, limit_s) as expired:
            heard = _announced(cleaned(messages(running.lines())), kind, begin, finish)
            received = list(itertools.islice(heard, _MESSAGES_MAX))
            if expired():
                raise IncompleteRun(f"no end after {limit_s:.0f} s")
            return _judged(received, running, kind)
    finally:
        running.close()


def _announced(
    received: Iterable[Message | Damaged],
    kind: type[Measurement],
    begin: Callable[[], None],
    finish: Callable[[], None],
) -> Iterator[Message | Damaged]:
    """Pass messages on, and tell when the timed part begins and ends."""
    hellos, wanted = 0, 2 if kind is PairSample else 1
    for message in received:
        hellos += isinstance(message, Hello)
        if isinstance(message, Hello) and hellos == wanted:
            begin()
        elif not isinstance(message, Hello | State):
            finish()
        yield message


@contextmanager
def _ended_after(running: Running, limit_s: float) -> Generator[Callable[[], bool]]:
    expired = threading.Event()

    def end() -> None:
        expired.set()  # first: whoever wakes because of the end asks why
        running.close()

    watchdog = threading.Timer(limit_s, end)
    watchdog.daemon = True
    watchdog.start()
    try:
        yield expired.is_set
    finally:
        watchdog.cancel()


def _judged(
    received: Sequence[Message | Damaged], running: Running, kind: type[Measurement]
) -> Session:
    """Return the session if it is whole; a phone that is lost after its ``end`` lost nothing."""
    try:
        session = complete_session(received, kind)
    except IncompleteRun as error:
        exit_code = running.wait()  # a lost phone is another error than a lost process
        raise IncompleteRun(f"{error} ({_ending(exit_code)}){_last_words(running)}") from None
    try:
        exit_code = running.wait()
    except DeviceUnfit:
        return session
    if exit_code != 0:
        raise IncompleteRun(f"the app: {_ending(exit_code)} after its report{_last_words(running)}")
    return session


def require_as_asked(session: Session, launch: str, cpus: Sequence[int]) -> None:
    """Check what the app says of its own process.

    Raises:
        IncompleteRun: it was started another way, or runs on other CPUs than it was bound to.
    """
    for state in (session.before, session.after):
        if state is None:
            continue
        if state.launch != launch:
            raise IncompleteRun(f"the app was started by {state.launch}, not by {launch}")
        if cpus and state.cpus_allowed and numbers(state.cpus_allowed) != set(cpus):
            raise IncompleteRun(
                f"the phone runs the app on CPUs {state.cpus_allowed}, not on"
                f" {','.join(map(str, sorted(cpus)))}: leave --cpus out, or choose others"
            )


def numbers(spans: str) -> set[int]:
    """Return the numbers of a list as Linux writes it, such as ``0-3,6``."""
    found: set[int] = set()
    for span in spans.split(","):
        first, _, last = span.partition("-")
        found.update(range(int(first), int(last or first) + 1))
    return found


def cleaned(received: Iterable[Message | Damaged]) -> Iterator[Message | Damaged]:
    """Pass messages on with the phone's own words fit to be shown and kept."""
    for message in received:
        if isinstance(message, Hello):
            names = {"runtime": clean(message.runtime, 80), "version": clean(message.version, 80)}
            yield message.model_copy(update=names)
        elif isinstance(message, Failure):
            yield message.model_copy(update={"message": clean(message.message, _MESSAGE_MAX)})
        else:
            yield message


def _ending(exit_code: int) -> str:
    if exit_code == _KILLED:
        return (
            "killed by signal 9, as Android does when memory is short: close other apps, or see"
            " 'adb logcat -d -b events | grep am_kill'"
        )
    if exit_code > _SIGNAL:
        return f"killed by signal {exit_code - _SIGNAL}"
    return f"exit code {exit_code}"


def _last_words(running: Running) -> str:
    text = running.stderr_tail()
    return f": …{text}" if text else ""
