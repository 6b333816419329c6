"""What a phone does besides running the app: other tools on artifacts, counters under the app."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

from cnn_export.benchmarks.devices.adb.app.phone_session import run_session
from cnn_export.benchmarks.devices.adb.connection.device_text import clean
from cnn_export.benchmarks.devices.adb.connection.phone import Phone
from cnn_export.benchmarks.devices.adb.connection.staging import Stage, item_of
from cnn_export.benchmarks.devices.adb.lifecycle.phone_lifecycle import PhoneLifecycle
from cnn_export.benchmarks.devices.adb.phone_info import PhoneInfo
from cnn_export.benchmarks.devices.adb.traffic.counters import NoCounters
from cnn_export.benchmarks.devices.adb.traffic.simpleperf import AppCommand, count_traffic
from cnn_export.benchmarks.devices.adb.vendor_tools.run_tool import result_place, run_tool
from cnn_export.benchmarks.devices.adb.vendor_tools.tool_contract import ToolJob
from cnn_export.benchmarks.devices.adb.vendor_tools.tool_registry import ToolBinary
from cnn_export.benchmarks.devices.contract import Job
from cnn_export.benchmarks.devices.cross_checker import ToolOpinion, TrafficCount
from cnn_export.benchmarks.results import record_types
from cnn_export.benchmarks.results.protocol import Sample
from cnn_export.benchmarks.results.session import Session
from cnn_export.errors import DeviceUnfit, ExportError


@dataclasses.dataclass(frozen=True)
class PhoneCrossChecker:
    """A phone that an ``AdbDevice`` has prepared.

    ``app_process`` brings everything for a job to the phone, and says how to run it; ``None`` if
    the app is not started that way. ``limit_s`` is how long a job may take.
    """

    phone: Phone
    info: PhoneInfo
    stage: Stage
    lifecycle: PhoneLifecycle
    app_process: Callable[[Job], AppCommand | None]
    limit_s: Callable[[Job], float]

    def require_tool(self, binary: ToolBinary) -> None:
        """Check that another tool's binary can run on the phone.

        Raises:
            InputRefused: it is built for another processor.
        """
        binary.require_abi(self.info.abis)

    def opinion(self, binary: ToolBinary, job: Job, inferences: int) -> ToolOpinion:
        """Bring the tool and run it on the job's artifact, once the phone is fit.

        Raises:
            ExportError: the tool failed, or says nothing to believe; it cannot do what is asked.
            DeviceUnfit: the phone is lost.
        """
        flags = self.lifecycle.unfit()
        self.app_process(job)
        artifact = item_of(job.artifacts[0])
        tool_job = ToolJob(
            artifact=artifact.place,
            result_file=result_place(),
            threads=job.threads,
            min_time_s=job.min_time_s,
            inferences=inferences,
            runtime_args=job.runtime_args,
        )
        limit_s = self.limit_s(job)
        found = run_tool(self.phone, self.stage, binary, artifact, tool_job, job.cpus, limit_s)
        return ToolOpinion(found, record_types.Conditions(cpus=sorted(job.cpus), flags=flags))

    def traffic(self, job: Job) -> TrafficCount:
        """Count what one inference moves; whatever prevents it becomes the reason.

        Raises:
            DeviceUnfit: the phone is lost.
        """
        app = self.app_process(job)
        if app is None:
            return TrafficCount(reason="counters are only read with --launch app_process")
        cpus = job.cpus or self.info.cpus
        try:
            inferences, levels = count_traffic(self.phone, app, self._run, job, cpus)
        except NoCounters as error:
            return TrafficCount(reason=str(error))
        except DeviceUnfit:
            raise
        except ExportError as error:
            return TrafficCount(reason=clean(f"the app failed under simpleperf: {error}"))
        return TrafficCount(inferences, tuple(levels))

    def _run(self, command: Sequence[str], job: Job) -> Session:
        limit_s = self.limit_s(job)
        started = self.lifecycle.started
        return run_session(self.phone, command, limit_s, Sample, started=started)
