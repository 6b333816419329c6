"""Find the run that ``--resume`` completes, and make sure that it is the one asked for."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from cnn_export.benchmarks.results import record_types
from cnn_export.benchmarks.results.record_check import RecordCheck
from cnn_export.benchmarks.results.results_file import BadLine, read_records
from cnn_export.errors import DeviceUnfit, UsageError
from cnn_export.untrusted import regular_file


@dataclasses.dataclass(frozen=True)
class Earlier:
    """What a results file holds of a run. ``left_out`` says in words which lines do not count."""

    run: record_types.Run
    records: Sequence[record_types.Record]
    left_out: Sequence[str] = ()


def require_resumable(path: Path) -> None:
    """Check that there is a file to go on with.

    Raises:
        UsageError: there is none.
        InputRefused: the system does not tell.
    """
    if regular_file.kind_at(path) is None:
        raise UsageError(f"there is no {path} to resume; leave --resume out")


def last_run(path: Path, device: str) -> Earlier:
    """Return the last run of a results file on ``device``; the last of all where there is none.

    Raises:
        UsageError: the file holds no run.
        InputRefused: as :func:`read_records`.
    """
    runs = _runs(path)
    if not runs:
        raise UsageError(f"{path} holds no run to resume; leave --resume out")
    on_device = [run for run in runs if run.device.id == device]
    return _with_records(path, (on_device or runs)[-1:])[0]


def last_group(path: Path, devices: Iterable[str]) -> tuple[str, dict[str, Earlier]]:
    """Return the name and the runs, by device, of the last call on several devices.

    A device that was lost before its run began has none.

    Raises:
        UsageError: the file holds no such call, or none on any of ``devices``.
        InputRefused: as :func:`read_records`.
    """
    wanted = set(devices)
    ours = [run for run in _runs(path) if run.group is not None and run.device.id in wanted]
    if not ours:
        raise UsageError(
            f"{path} holds no run on several of these devices to resume; leave --resume out, or"
            " name the one device of the run"
        )
    group = ours[-1].group or ""
    earlier = _with_records(path, [run for run in ours if run.group == group])
    return group, {each.run.device.id: each for each in earlier}


def _runs(path: Path) -> list[record_types.Run]:
    return [record for record in read_records(path) if isinstance(record, record_types.Run)]


def _with_records(path: Path, runs: Sequence[record_types.Run]) -> list[Earlier]:
    """Return the runs with their records; those of other runs are never all in memory.

    What counts of them is what counts for every reader.
    """
    found: dict[str, list[record_types.Record]] = {run.run_id: [] for run in runs}
    left_out: list[str] = []
    check = RecordCheck()
    for record in read_records(path):
        if isinstance(record, BadLine):
            left_out.append(f"line {record.number} ({record.reason})")
            continue
        problem = check.problem(record)
        if record.run_id not in found:
            continue
        if problem is None:
            found[record.run_id].append(record)
        else:
            left_out.append(problem)
    return [Earlier(run, found[run.run_id], left_out) for run in runs]


def require_same_plan(
    found: record_types.Run, wanted: record_types.Run, *, ignore_seed: bool
) -> None:
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
    if _fixed(found) != _fixed(wanted):
        raise UsageError(
            f"the run to resume had fixed-performance mode {_fixed(found)}, this command"
            f" {_fixed(wanted)}; give the same --fixed-performance, or begin a new run"
        )
    for field in fields:
        if (old := getattr(found, field)) != (new := getattr(wanted, field)):
            raise UsageError(
                f"the run to resume has {field} {_short(old)}, this command {_short(new)};"
                " give the same, or begin a new run without --resume"
            )


def _fixed(run: record_types.Run) -> str:
    return "on" if run.fixed_performance else "off"


def _lasting(device: record_types.Device) -> Mapping[str, object]:
    """Return the device's facts; memory in GiB, for the kernel keeps a part that varies."""
    return device.model_dump() | {"memory_bytes": round(device.memory_bytes / 2**30)}


def _difference(found: record_types.Run, wanted: record_types.Run) -> str:
    old, new = _lasting(found.device), _lasting(wanted.device)
    return ", ".join(f"{key} {old[key]!r}, now {new[key]!r}" for key in old if old[key] != new[key])


def _short(value: object) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(str(item)[:12] for item in value) + "]"
    return str(value)


def require_unflagged(records: Sequence[record_types.Record], out: Path) -> None:
    """Check that a run to be resumed has no flagged process.

    Raises:
        DeviceUnfit: it has one.
    """
    for record in records:
        if isinstance(record, record_types.Repeat | record_types.Pair) and record.conditions.flags:
            raise DeviceUnfit(
                f"{out} already holds a flagged process ({', '.join(record.conditions.flags)});"
                " begin a new run, or leave --strict out"
            )


def require_same_versions(
    earlier: Iterable[record_types.Record], record: record_types.Record
) -> None:
    """Check that a new process ran the runtimes that measured the rest of its run.

    Raises:
        UsageError: one has another version by now.
    """
    found = _versions(record)
    for other in earlier:
        for runtime, version in _versions(other).items():
            if found.get(runtime, version) != version:
                raise UsageError(
                    f"the run was begun with {runtime} {version}, there is {found[runtime]} now;"
                    " begin a new run without --resume"
                )


def _versions(record: record_types.Record) -> dict[str, str]:
    if isinstance(record, record_types.Pair):
        return dict(zip(record.runtimes, record.runtime_versions, strict=True))
    if isinstance(record, record_types.Repeat | record_types.Memory):
        return {record.runtime: record.runtime_version}
    return {}
