"""A phone as a device: bring the files, run the app in a fresh process, read its report."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import tempfile
from collections.abc import Callable, Generator, Sequence
from pathlib import Path

from cnn_export.benchmarks import results
from cnn_export.benchmarks.adb.app_package import PACKAGE, AppPackage
from cnn_export.benchmarks.adb.attendant import Attendant, Care
from cnn_export.benchmarks.adb.clusters import cpus_of
from cnn_export.benchmarks.adb.facts import PhoneFacts, read_facts
from cnn_export.benchmarks.adb.housekeeping import Keeper
from cnn_export.benchmarks.adb.installing import install, installed_hash
from cnn_export.benchmarks.adb.launch import (
    Launch,
    Placed,
    activity_command,
    app_process_command,
    options,
)
from cnn_export.benchmarks.adb.phone import Phone
from cnn_export.benchmarks.adb.phone_looks import PhoneLooks
from cnn_export.benchmarks.adb.phone_session import require_as_asked, run_session
from cnn_export.benchmarks.adb.probe_file import probe_file
from cnn_export.benchmarks.adb.simpleperf import AppCommand
from cnn_export.benchmarks.adb.staging import FOLDER, Item, Stage, item_of
from cnn_export.benchmarks.adb.watcher import Watcher, announcing
from cnn_export.benchmarks.device import Cluster, Job, Outcome, Preparation
from cnn_export.benchmarks.loaded_artifact import require_same_file
from cnn_export.benchmarks.runtimes import runtime_of
from cnn_export.benchmarks.session import MEASUREMENTS, Session
from cnn_export.errors import UsageError
from cnn_export.manifest import manifest_path, read_manifest

_CARE = Care()


class AdbDevice:
    """Runs the app on one phone. Files are brought when they are first needed.

    How the phone is treated meanwhile, what is waited for and watched, is the attendant's.
    ``tell`` is told what is waited for.
    """

    def __init__(
        self,
        phone: Phone,
        app: AppPackage,
        launch: Launch = "app_process",
        patience_s: float = 300.0,
        keep: bool = False,
        care: Care = _CARE,
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._phone, self._app = phone, app
        self._attendant = Attendant(phone, care, tell)
        self._keeper = Keeper(phone, keep=keep)
        self._launch: Launch = launch
        self._patience_s = patience_s
        self._stage = Stage(phone)
        self._new = False
        """Whether the app was not installed before us."""
        self._placed: dict[Path, Placed] = {}
        self._code: Item | None = None

    @functools.cached_property
    def _facts(self) -> PhoneFacts:
        return read_facts(self._phone)

    @functools.cached_property
    def _abi(self) -> str:
        return self._app.abi_for(self._facts)

    @property
    def name(self) -> str:
        """Return its serial."""
        return self._phone.name

    def stop(self) -> None:
        """End what another thread runs, or will run, on the phone; waits end too."""
        self._attendant.stop()

    def require_runtime(self, package: str) -> None:
        """Check that the app has a runtime for the phone's ABI.

        Raises:
            TargetUnavailable: it was built without it, or not for this ABI.
            DeviceUnfit: the phone is not there, or too old.
        """
        self._app.require_runtime(package, self._abi)

    def cluster(self, name: Cluster) -> tuple[int, ...]:
        """Return the CPUs of the fastest or the slowest cores.

        Raises:
            UsageError: the phone does not tell its cores apart.
            DeviceUnfit: it is not there.
        """
        return cpus_of(name, self._facts.cores)

    def describe(self) -> results.Device:
        """Return the phone as results know it.

        Raises:
            DeviceUnfit: it is not there, or too old.
            TargetUnavailable: the app is not built for it.
        """
        facts = self._facts
        return results.Device(
            id=self._phone.name,
            kind="adb",
            model=facts.model,
            cpus=len(facts.cpus),
            memory_bytes=facts.memory_bytes,
            system=f"Android {facts.release}, {facts.kernel}",
            governor=facts.governor,
            soc=facts.soc,
            abi=self._abi,
            api_level=facts.api_level,
            build=facts.build,
            launch=self._launch,
        )

    def unfit(self, threads: int, cpus: tuple[int, ...]) -> list[str]:
        """Wait until the phone is cool and charged enough, with a bound; name what is unfit.

        Raises:
            UsageError: the phone has not got those CPUs, or the launch cannot bind to them.
            DeviceLost: it is not there.
        """
        return self._static_flags(threads, cpus) + self._attendant.unfit()

    def _static_flags(self, threads: int, cpus: tuple[int, ...]) -> list[str]:
        missing = sorted(set(cpus) - set(self._facts.cpus))
        if missing:
            raise UsageError(
                f"CPU {missing[0]} is not among those of phone {self._phone.name}"
                f" ({', '.join(map(str, self._facts.cpus))}); change --cpus"
            )
        if cpus and self._launch == "activity":
            raise UsageError(
                "Android lets nobody bind an app's process to CPUs: leave --cpus out, or use"
                " --launch app_process"
            )
        count = len(set(cpus)) or len(self._facts.cpus)
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
        with self._attendant.prepared() as preparation:
            try:
                self._settle()
                yield preparation
            finally:
                self._keeper.end()

    def run(self, job: Job) -> Outcome:
        """Run the app once, in a process of its own.

        Raises:
            ExportError: what the app reported; see :func:`complete_session`.
            IncompleteRun: it crashed, was killed, hung, or its report has a gap.
            UsageError: the phone has not got the job's CPUs.
            DeviceUnfit: the phone is lost, or its disk full.
            Interrupted: :meth:`stop` was called.
        """
        flags = self._static_flags(job.threads, job.cpus)
        outcome = self._attendant.run(functools.partial(self._session, job), job.cpus)
        known = outcome.conditions
        return dataclasses.replace(
            outcome, conditions=known.model_copy(update={"flags": [*flags, *known.flags]})
        )

    def second_looks(self) -> PhoneLooks:
        """Return what the phone does besides running the app."""
        return PhoneLooks(
            self._phone, self._facts, self._stage, self._attendant, self._app_process, self._limit_s
        )

    def _app_process(self, job: Job) -> AppCommand | None:
        """Bring everything for a job; return how to run it, or ``None`` if the app is installed."""
        self._hold()
        placed = self._place(job.artifacts)
        if self._launch == "activity":
            return None
        return lambda job: self._app_process_words(job, placed)

    def _app_process_words(self, job: Job, placed: Sequence[Placed]) -> list[str]:
        libraries = f"{FOLDER}/{self._library_folder}"
        code = self._code.place if self._code else ""
        return app_process_command(libraries, code, self._abi, job.cpus, options(job, placed))

    def _hold(self) -> None:
        """Have the folder kept; a connection that broke made the phone clear everything."""
        if not self._keeper.holds():
            self._settle()

    def _limit_s(self, job: Job) -> float:
        return 4 * job.min_time_s * len(job.artifacts) + self._patience_s

    def _settle(self) -> None:
        """Have the folder kept, and the app installed where the launch needs it."""
        self._stage.forget()
        self._placed.clear()
        if self._launch != "activity":
            self._keeper.begin()
            return
        before = installed_hash(self._phone)
        self._new = self._new or before is None
        self._keeper.begin(uninstall=PACKAGE if self._new else "")
        if before != self._app.sha256:
            self._stage.bring([self._apk()])
            install(self._phone, self._apk().place)

    def _session(self, job: Job, watcher: Watcher) -> Session:
        """Bring what is missing, then run the app; what was begun may be begun again."""
        self._hold()
        limit_s = self._limit_s(job)
        command = self._command(job, self._place(job.artifacts))
        if self._launch == "activity":
            watcher.begin_unheard()
        session = run_session(
            self._phone,
            command,
            limit_s,
            MEASUREMENTS[job.kind],
            watcher.begin,
            watcher.finish,
            self._attendant.started,
        )
        require_as_asked(session, self._launch, job.cpus)
        return session

    def _command(self, job: Job, placed: Sequence[Placed]) -> list[str]:
        if self._launch == "activity":
            return activity_command(options(job, placed))
        return announcing(self._app_process_words(job, placed))

    def _place(self, artifacts: Sequence[Path]) -> list[Placed]:
        """Have everything on the phone that a job on ``artifacts`` needs."""
        for path in artifacts:
            if path not in self._placed:
                with tempfile.TemporaryDirectory(prefix="cnn-bench-") as folder:
                    artifact, probe = _artifact_items(path, Path(folder))
                    app = self._app_items(runtime_of(path).package, Path(folder))
                    self._stage.bring([artifact, probe, *app])
                self._placed[path] = Placed(artifact.place, probe.place)
        return [self._placed[path] for path in artifacts]

    def _app_items(self, runtime: str, folder: Path) -> list[Item]:
        """Return what ``app_process`` needs of the app; an installed app has it all."""
        if self._launch == "activity":
            return []
        code, libraries = self._app.extract(runtime, self._abi, folder)
        self._code = item_of(code)
        return [self._code, *(item_of(path, self._library_folder) for path in libraries)]

    def _apk(self) -> Item:
        return Item(self._app.path, f"{self._app.sha256}.apk", self._app.sha256)

    @property
    def _library_folder(self) -> str:
        return f"{self._app.sha256[:16]}-{self._abi}"


def _artifact_items(path: Path, folder: Path) -> tuple[Item, Item]:
    """Return the proven artifact and its probe file, which is written to ``folder``."""
    manifest = read_manifest(manifest_path(path))
    require_same_file(path, manifest)
    artifact = item_of(path)
    probe = folder / f"{artifact.sha256}.probe"
    probe.write_text(probe_file(manifest, runtime_of(path).package), encoding="utf-8", newline="\n")
    return artifact, item_of(probe)
