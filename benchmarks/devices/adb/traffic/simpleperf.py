"""Count what one inference moves, with the phone's ``simpleperf``, in processes that time nothing.

The app runs twice under ``simpleperf stat``, for a shorter and for a longer time. Both processes
load the same way, so the difference of their counts belongs to the inferences that the longer one
has more. Android keeps the counters from the shell with ``security.perf_harden``; the phone's own
shell lifts that for the moment and puts it back, also when the connection goes.
"""

from __future__ import annotations

import dataclasses
import secrets
from collections.abc import Callable, Sequence

from cnn_export.benchmarks.devices.adb.connection.device_text import clean
from cnn_export.benchmarks.devices.adb.connection.phone import Phone, script_words
from cnn_export.benchmarks.devices.adb.connection.staging import FOLDER
from cnn_export.benchmarks.devices.adb.traffic.counters import (
    Counter,
    NoCounters,
    counts,
    levels,
    usable,
)
from cnn_export.benchmarks.devices.contract import Job
from cnn_export.benchmarks.results.record_types import Level
from cnn_export.benchmarks.results.session import Session

LONGEST_S = 2.0
"""Counts settle far sooner than times: a longer process tells no more."""
SHORTER = 0.1
"""The shorter process's share of the longer one's time."""
_NOT_FOUND = 127

# $1 events, $2 report, then the command to count, which replaces its own shell in the end. The
# kernel follows the property within a moment.
_COUNT = r"""
events=$1 report=$2 child=
shift 2
before=$(getprop security.perf_harden)
put_back() { [ "$before" != 1 ] || setprop security.perf_harden 1; }
trap '[ -z "$child" ] || kill "$child" 2>/dev/null; put_back; exit 129' HUP INT TERM
if [ "$before" = 1 ]; then
  setprop security.perf_harden 0
  tries=0
  while [ "$(cat /proc/sys/kernel/perf_event_paranoid)" -gt 1 ] && [ $tries -lt 20 ]; do
    sleep 0.1
    tries=$((tries + 1))
  done
fi
simpleperf stat --csv -o "$report" -e "$events" "$@" &
child=$!
wait "$child"
code=$?
put_back
exit "$code"
"""

RunOnce = Callable[[Sequence[str], Job], Session]
"""Runs a command that reports like a worker for a job."""


AppCommand = Callable[[Job], Sequence[str]]
"""Returns the words that run the app on a job; everything they need is on the phone."""


def count_traffic(
    phone: Phone, app: AppCommand, run: RunOnce, job: Job, cpus: Sequence[int]
) -> tuple[int, list[Level]]:
    """Return how many inferences the two processes differ by, and what one of them moves.

    ``cpus`` are all that the process may run on.

    Raises:
        NoCounters: the phone has no ``simpleperf``, does not allow it, or counts nothing of use.
        ExportError: as ``run``.
    """
    counters = usable(_listing(phone), cpus)
    longer_s = min(job.min_time_s, LONGEST_S)
    found = [
        _counted(phone, app, run, dataclasses.replace(job, min_time_s=seconds), counters)
        for seconds in (SHORTER * longer_s, longer_s)
    ]
    (fewer, few), (more, many) = found
    return many - few, levels(fewer, more, many - few, counters)


def _listing(phone: Phone) -> str:
    listed = phone.shell(["simpleperf", "list", "raw"])
    if listed.exit_code == _NOT_FOUND:
        raise NoCounters("the phone has no simpleperf")
    if listed.exit_code != 0:
        reason = clean(listed.stderr or listed.stdout, 120) or f"exit code {listed.exit_code}"
        raise NoCounters(f"simpleperf does not list the counters: {reason}")
    return listed.text


def _counted(
    phone: Phone, app: AppCommand, run: RunOnce, job: Job, counters: Sequence[Counter]
) -> tuple[dict[str, int], int]:
    """Return the counts of one process, and how many inferences it ran apart from a constant."""
    report = f"{FOLDER}/counters-{secrets.token_hex(8)}"
    events = ",".join(counter.event for counter in counters)
    command = script_words(_COUNT, events, report, *app(job))
    try:
        session = run(command, job)
        text = phone.read_text(report)
    finally:
        phone.shell(["rm", "-f", report])
    return counts(text, counters), session.end.count + session.end.warm_up
