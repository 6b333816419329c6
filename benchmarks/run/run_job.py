"""One call of ``cnn-bench run``, from request to records, on one device or on several.

Each device has a queue and a thread of its own; they share the file. What happens to one stops no
other.
"""

from __future__ import annotations

import functools
import secrets
from collections.abc import Callable, Mapping, Sequence

from cnn_export.benchmarks.devices.contract import Device
from cnn_export.benchmarks.results.results_file import Appender
from cnn_export.benchmarks.run.device_run import Group, check, work_off
from cnn_export.benchmarks.run.resume import Earlier, last_group, last_run, require_resumable
from cnn_export.benchmarks.run.run_request import Finished, Request, joined
from cnn_export.benchmarks.run.runner import Progress
from cnn_export.benchmarks.run.side_by_side import side_by_side
from cnn_export.errors import Interrupted, UsageError


def perform(
    request: Request,
    devices: Sequence[Device],
    report: Callable[[Progress], None] = lambda _: None,
) -> Finished:
    """Measure on every device what its plan still lacks.

    An interruption stops all of them. What each has measured is kept, and what ended it early is
    in what it returns.

    Raises:
        UsageError: a device is named twice; an option contradicts another, or the run to be
            resumed; there is nothing to resume.
        ExportError: nothing was run on any device: why.
        DestinationError: the file cannot be opened.
    """
    _require_distinct(devices)
    if request.resume:
        require_resumable(request.out)
    checked = side_by_side(
        {each.name: functools.partial(check, request, each) for each in devices}, devices
    )
    if checked.interrupted is not None:
        raise Interrupted(f"{checked.interrupted}; nothing was run")
    if not checked.values:
        raise next(iter(checked.errors.values()))
    names = [device.name for device in devices]
    with Appender(request.out) as appender:
        ids = [each.described.id for each in checked.values.values()]
        group, earlier = _group(request, names, ids)
        ended = side_by_side(
            {
                name: functools.partial(
                    work_off,
                    request,
                    each,
                    appender,
                    earlier.get(each.described.id),
                    group=group,
                    report=report,
                )
                for name, each in checked.values.items()
            },
            devices,
        )
    failures = {**checked.errors, **ended.errors}
    if not ended.values:
        raise joined(failures, several=len(devices) > 1, kept="nothing was run")
    return Finished(tuple(ended.values.values()), failures, several=len(devices) > 1)


def _group(
    request: Request, names: Sequence[str], ids: Sequence[str]
) -> tuple[Group | None, Mapping[str, Earlier]]:
    """Return what the runs of a call on several devices share, and the runs to take up, by device.

    A device without a run in the resumed call begins one.
    """
    if len(names) == 1:
        return None, {ids[0]: last_run(request.out, ids[0])} if request.resume else {}
    if not request.resume:
        return Group(secrets.token_hex(8), tuple(names)), {}
    name, earlier = last_group(request.out, ids)
    return Group(name, tuple(names)), earlier


def _require_distinct(devices: Sequence[Device]) -> None:
    names = [device.name for device in devices]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"--device names {name} twice; give each device once")
