"""What a call of ``cnn-bench run`` asks for, and what has become of it on each device."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from cnn_export.benchmarks.devices.contract import Cluster
from cnn_export.benchmarks.results import record_types
from cnn_export.benchmarks.run.plan import done_keys
from cnn_export.benchmarks.run.runner import Lost
from cnn_export.errors import DeviceUnfit, ExportError, InputRefused, Interrupted, ParityError

if TYPE_CHECKING:
    from cnn_export.benchmarks.devices.adb.vendor_tools.tool_registry import ToolBinary


@dataclasses.dataclass(frozen=True)
class Request:
    """What the user asked for. ``seed`` ``None``: draw one, or take that of the resumed run.

    ``tools`` cross-check the times.
    """

    artifacts: tuple[Path, ...]
    out: Path
    threads: tuple[int, ...] = (1,)
    repeats: int = 10
    min_time_s: float = 1.0
    seed: int | None = None
    cpus: tuple[int, ...] | Cluster = ()
    runtime_args: tuple[str, ...] = ()
    compare: bool = False
    block: int = 1
    resume: bool = False
    strict: bool = False
    tools: tuple[ToolBinary, ...] = ()


@dataclasses.dataclass(frozen=True)
class DeviceRun:
    """One device's records so far, those of an earlier call included, and what did not count.

    ``stopped_by`` is what ended the run before its last process; ``notes`` are what somebody has
    to know of the device now, ``left_out`` which lines of an earlier call do not count.
    """

    run: record_types.Run
    records: tuple[record_types.Record, ...]
    lost: tuple[Lost, ...]
    total: int
    torn_bytes: int = 0
    notes: tuple[str, ...] = ()
    stopped_by: ExportError | None = None
    left_out: tuple[str, ...] = ()

    @property
    def processes(self) -> int:
        """How many processes are kept."""
        return len(done_keys(self.records, self.run.run_id))

    @property
    def failure(self) -> ExportError | None:
        """What stopped the run, else the first process that did not count; ``None``: all did."""
        if self.stopped_by is not None:
            notes = "".join(f"; {note}" for note in self.notes)
            return type(self.stopped_by)(f"{self.stopped_by}{notes}")
        if not self.lost:
            return None
        first = self.lost[0]
        names = " and ".join(artifact.name for artifact in first.invocation.artifacts)
        others = f" ({len(self.lost) - 1} other failures)" if len(self.lost) > 1 else ""
        return type(first.error)(f"{names}: {first.error}{others}")


_OF_THE_FILE = (InputRefused, ParityError)
"""What ends the same way when the same command goes on."""


@dataclasses.dataclass(frozen=True)
class Finished:
    """What became of every device: a run, or why there is none."""

    runs: tuple[DeviceRun, ...]
    failures: Mapping[str, ExportError]
    several: bool

    def first_failure(self, out: Path) -> ExportError | None:
        """Return what the command ends with if something failed: what is kept, how to go on."""
        ended = {each.run.device.id: each.failure for each in self.runs} | dict(self.failures)
        failed = {name: error for name, error in ended.items() if error is not None}
        if not failed:
            return None
        done, total = (
            sum(each.processes for each in self.runs),
            sum(each.total for each in self.runs),
        )
        kept = f"{done} of {total} processes are kept in {out}"
        # A file that is refused before its first process is refused again.
        if done or not all(isinstance(each, _OF_THE_FILE) for each in failed.values()):
            kept += "; go on with the same command and --resume"
        return joined(failed, several=self.several, kept=kept)


def joined(failed: Mapping[str, ExportError], *, several: bool, kept: str) -> ExportError:
    """Return one error for all devices that failed, by name; of an only device it is the device's.

    An interruption, then a lost device, counts before anything else.
    """
    weighty = next(
        (
            error
            for kind in (Interrupted, DeviceUnfit)
            for error in failed.values()
            if isinstance(error, kind)
        ),
        next(iter(failed.values())),
    )
    told = "; ".join(
        f"{name}: {error}" if several else str(error) for name, error in failed.items()
    )
    return type(weighty)(f"{told}; {kept}")
