"""One call of ``cnn-bench run`` on one device, from request to records."""

from __future__ import annotations

from collections.abc import Callable

from cnn_export.benchmarks.devices.contract import Device
from cnn_export.benchmarks.results.results_file import Appender
from cnn_export.benchmarks.run.device_run import check, work_off
from cnn_export.benchmarks.run.resume import last_run
from cnn_export.benchmarks.run.run_request import Finished, Request
from cnn_export.benchmarks.run.runner import Progress
from cnn_export.errors import UsageError
from cnn_export.untrusted import regular_file


def perform(
    request: Request, device: Device, report: Callable[[Progress], None] = lambda _: None
) -> Finished:
    """Measure what the request's plan still lacks; what ended the run early is in what it returns.

    Raises:
        UsageError: an option contradicts another, or the run to be resumed.
        InputRefused: an artifact or the results file cannot be read.
        DeviceUnfit: with ``strict``, the device is in no condition to measure; or it is not there.
    """
    checked = check(request, device)
    require_resumable(request)
    with Appender(request.out) as appender:
        earlier = last_run(request.out, checked.described.id) if request.resume else None
        return work_off(request, checked, appender, earlier, report=report)


def require_resumable(request: Request) -> None:
    """Check that there is a file to go on with.

    Raises:
        UsageError: there is none.
        InputRefused: the system does not tell.
    """
    if request.resume and regular_file.kind_at(request.out) is None:
        raise UsageError(f"there is no {request.out} to resume; leave --resume out")
