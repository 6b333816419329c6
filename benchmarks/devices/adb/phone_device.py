"""A phone as a device: bring the files, run the app in a fresh process, read its report."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Generator, Sequence
from typing import Any

from cnn_export.benchmarks.devices.adb.app.app_package import AppPackage
from cnn_export.benchmarks.devices.adb.app.deployment import Deployment
from cnn_export.benchmarks.devices.adb.app.launch import (
    Launch,
    Placed,
    activity_command,
    app_process_command,
    options,
)
from cnn_export.benchmarks.devices.adb.app.phone_session import require_as_asked, run_session
from cnn_export.benchmarks.devices.adb.clusters import cpus_of
from cnn_export.benchmarks.devices.adb.connection.phone import Phone
from cnn_export.benchmarks.devices.adb.lifecycle.phone_lifecycle import PhoneLifecycle, PhonePolicy
from cnn_export.benchmarks.devices.adb.phone_cross_checks import PhoneCrossChecker
from cnn_export.benchmarks.devices.adb.phone_info import PhoneInfo, read_phone_info
from cnn_export.benchmarks.devices.adb.traffic.simpleperf import AppCommand
from cnn_export.benchmarks.devices.adb.watch.watcher import Watcher, announcing
from cnn_export.benchmarks.devices.contract import Cluster, Job, Outcome, Preparation
from cnn_export.benchmarks.results import record_types
from cnn_export.benchmarks.results.session import MEASUREMENTS, Session
from cnn_export.errors import UsageError

_POLICY = PhonePolicy()


class AdbDevice:
    """Runs the app on one phone. Files are brought when they are first needed.

    How the phone is treated meanwhile, what is waited for and watched, is the lifecycle's.
    ``tell`` is told what is waited for.
    """

    def __init__(
        self,
        phone: Phone,
        app: AppPackage,
        launch: Launch = "app_process",
        patience_s: float = 300.0,
        keep: bool = False,
        policy: PhonePolicy = _POLICY,
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._phone, self._app = phone, app
        self._lifecycle = PhoneLifecycle(phone, policy, tell)
        self._deployment = Deployment(phone, app, launch, keep=keep)
        self._launch: Launch = launch
        self._patience_s = patience_s

    @functools.cached_property
    def _info(self) -> PhoneInfo:
        return read_phone_info(self._phone)

    @functools.cached_property
    def _abi(self) -> str:
        return self._app.abi_for(self._info)

    @property
    def name(self) -> str:
        """Return its serial."""
        return self._phone.name

    def stop(self, why: str) -> None:
        """End what another thread runs, or will run, on the phone; waits end too."""
        self._lifecycle.stop(why)

    def require_runtimes(self, packages: Sequence[str]) -> None:
        """Check that the app has runtimes for the phone's ABI.

        Raises:
            TargetUnavailable: it was built without it, or not for this ABI.
            DeviceUnfit: the phone is not there, or too old.
        """
        for package in packages:
            self._app.require_runtime(package, self._abi)

    def cluster(self, name: Cluster) -> tuple[int, ...]:
        """Return the CPUs of the fastest or the slowest cores.

        Raises:
            UsageError: the phone does not tell its cores apart.
            DeviceUnfit: it is not there.
        """
        return cpus_of(name, self._info.cores)

    def describe(self) -> record_types.Device:
        """Return the phone as results know it.

        Raises:
            DeviceUnfit: it is not there, or too old.
            TargetUnavailable: the app is not built for it.
        """
        info = self._info
        return record_types.Device(
            id=self._phone.name,
            kind="adb",
            model=info.model,
            cpus=len(info.cpus),
            memory_bytes=info.memory_bytes,
            system=f"Android {info.release}, {info.kernel}",
            governor=info.governor,
            soc=info.soc,
            abi=self._abi,
            api_level=info.api_level,
            build=info.build,
            launch=self._launch,
        )

    def unfit(self, threads: int, cpus: tuple[int, ...]) -> list[str]:
        """Wait until the phone is cool and charged enough, with a bound; name what is unfit.

        Raises:
            UsageError: the phone has not got those CPUs, or the launch cannot bind to them.
            DeviceLost: it is not there.
        """
        return self._static_flags(threads, cpus) + self._lifecycle.unfit()

    def _static_flags(self, threads: int, cpus: tuple[int, ...]) -> list[str]:
        missing = sorted(set(cpus) - set(self._info.cpus))
        if missing:
            raise UsageError(
                f"CPU {missing[0]} is not among those of phone {self._phone.name}"
                f" ({', '.join(map(str, self._info.cpus))}); change --cpus"
            )
        if cpus and self._launch == "activity":
            raise UsageError(
                "Android lets nobody bind an app's process to CPUs: leave --cpus out, or use"
                " --launch app_process"
            )
        count = len(set(cpus)) or len(self._info.cpus)
        return ["too_few_cpus"] if threads > count else []

    @contextlib.contextmanager
    def prepared(self) -> Generator[Preparation]:
        """Hold the phone's settings, make a folder there, install the app where it is launched.

        Afterwards the settings are as before, the folder is gone, and the app if it is new.

        Raises:
            UsageError: the phone cannot do what was asked for by name.
            DeviceUnfit: another run holds it, it has no room, or does not take the app.
            DeviceLost: it is not there.
        """
        with self._lifecycle.prepared() as preparation:
            try:
                self._deployment.hold()
                yield preparation
            finally:
                self._deployment.end()

    def run(self, job: Job) -> Outcome:
        """Run the app once, in a process of its own.

        Raises:
            ExportError: what the app reported; see :mod:`cnn_export.benchmarks.results.session`.
            IncompleteRun: it crashed, was killed, hung, or its report has a gap.
            UsageError: the phone has not got the job's CPUs.
            DeviceUnfit: the phone is lost, or its disk full.
            Interrupted: :meth:`stop` was called.
        """
        flags = self._static_flags(job.threads, job.cpus)
        outcome = self._lifecycle.run(functools.partial(self._session, job), job.cpus)
        known, told = outcome.conditions, outcome.session.after
        more: dict[str, Any] = {"flags": [*flags, *known.flags]}
        if told is not None:
            more["thermal_headroom"] = told.thermal_headroom
            more["available_memory_bytes"] = told.available_memory_bytes
        return dataclasses.replace(outcome, conditions=known.model_copy(update=more))

    def cross_checker(self) -> PhoneCrossChecker:
        """Return what the phone does besides running the app."""
        return PhoneCrossChecker(
            self._phone,
            self._info,
            self._deployment.stage,
            self._lifecycle,
            self._app_process,
            self._limit_s,
        )

    def _app_process(self, job: Job) -> AppCommand | None:
        """Bring everything for a job; return how to run it, or ``None`` if the app is installed."""
        placed = self._placed(job)
        if self._launch == "activity":
            return None
        return lambda job: self._app_process_words(job, placed)

    def _app_process_words(self, job: Job, placed: Sequence[Placed]) -> list[str]:
        here = self._deployment
        return app_process_command(
            here.libraries(self._abi), here.code, self._abi, job.cpus, options(job, placed)
        )

    def _placed(self, job: Job) -> list[Placed]:
        """Bring what is missing: a phone clears everything when the connection breaks."""
        self._deployment.hold()
        return self._deployment.place(job.artifacts, self._abi)

    def _limit_s(self, job: Job) -> float:
        return 4 * job.min_time_s * len(job.artifacts) + self._patience_s

    def _session(self, job: Job, watcher: Watcher) -> Session:
        """Bring what is missing, then run the app; what was begun may be begun again."""
        command = self._command(job, self._placed(job))
        if self._launch == "activity":
            watcher.begin_unheard()
        session = run_session(
            self._phone,
            command,
            self._limit_s(job),
            MEASUREMENTS[job.kind],
            watcher.begin,
            watcher.finish,
            self._lifecycle.started,
        )
        require_as_asked(session, self._launch, job.cpus)
        return session

    def _command(self, job: Job, placed: Sequence[Placed]) -> list[str]:
        if self._launch == "activity":
            return activity_command(options(job, placed))
        return announcing(self._app_process_words(job, placed))
