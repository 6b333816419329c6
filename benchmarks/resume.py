"""Find the run that ``--resume`` completes, and make sure that it is the one asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from cnn_export.benchmarks import results
from cnn_export.benchmarks.results_file import BadLine, read_records
from cnn_export.errors import DeviceUnfit, UsageError


def last_run(path: Path) -> tuple[results.Run, list[results.Record]]:
    """Return the last run of a results file and all records of it, the run itself first.

    Raises:
        UsageError: the file holds no run.
        InputRefused: as :func:`read_records`.
    """
    records: list[results.Record] = []
    for record in read_records(path):
        if isinstance(record, results.Run):
            records = [record]
        elif records and not isinstance(record, BadLine) and record.run_id == records[0].run_id:
            records.append(record)
    if not records or not isinstance(records[0], results.Run):
        raise UsageError(f"{path} holds no run to resume; leave --resume out")
    return records[0], records


def require_same_plan(found: results.Run, wanted: results.Run, *, ignore_seed: bool) -> None:
    """Check that the run of the file is the one that the command asks for.

    Raises:
        DeviceUnfit: the device is another one, or changed.
        UsageError: an option differs; names it.
    """
    if _lasting(found.device) != _lasting(wanted.device):
        raise DeviceUnfit(
            f"the run was begun on another device or state of it ({_difference(found, wanted)});"
            " begin a new one without --resume"
        )
    fields = ["artifacts", "threads", "repeats", "min_time_s", "cpus", "runtime_args", "compare"]
    fields += ["block"] if ignore_seed else ["block", "seed"]
    for field in fields:
        if (old := getattr(found, field)) != (new := getattr(wanted, field)):
            raise UsageError(
                f"the run to resume has {field} {_short(old)}, this command {_short(new)};"
                " give the same, or begin a new run without --resume"
            )


def _lasting(device: results.Device) -> Mapping[str, object]:
    """Return the device's facts; memory in GiB, for the kernel keeps a part that varies."""
    return device.model_dump() | {"memory_bytes": round(device.memory_bytes / 2**30)}


def _difference(found: results.Run, wanted: results.Run) -> str:
    old, new = _lasting(found.device), _lasting(wanted.device)
    return ", ".join(f"{key} {old[key]!r}, now {new[key]!r}" for key in old if old[key] != new[key])


def _short(value: object) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(str(item)[:12] for item in value) + "]"
    return str(value)


def require_unflagged(records: Sequence[results.Record], out: Path) -> None:
    """Check that a run to be resumed has no flagged process.

    Raises:
        DeviceUnfit: it has one.
    """
    for record in records:
        if isinstance(record, results.Repeat | results.Pair) and record.conditions.flags:
            raise DeviceUnfit(
                f"{out} already holds a flagged process ({', '.join(record.conditions.flags)});"
                " begin a new run, or leave --strict out"
            )
