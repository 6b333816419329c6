"""What a run needs on a phone, brought when it is first needed and cleared with the run."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from cnn_export.benchmarks.artifacts.proven_artifact import proven_manifest
from cnn_export.benchmarks.devices.adb.app.app_package import PACKAGE, AppPackage
from cnn_export.benchmarks.devices.adb.app.cleanup_guard import CleanupGuard
from cnn_export.benchmarks.devices.adb.app.installing import install, installed_hash
from cnn_export.benchmarks.devices.adb.app.launch import Launch, Placed
from cnn_export.benchmarks.devices.adb.app.probe_file import probe_file
from cnn_export.benchmarks.devices.adb.connection.phone import Phone
from cnn_export.benchmarks.devices.adb.connection.staging import FOLDER, Item, Stage, item_of
from cnn_export.benchmarks.runtimes.runtime_registry import runtime_of


class Deployment:
    """The folder on one phone, with artifacts and the app in it, or the app installed.

    ``keep`` leaves the files there afterwards.
    """

    def __init__(self, phone: Phone, app: AppPackage, launch: Launch, *, keep: bool) -> None:
        self.stage = Stage(phone)
        self._phone, self._app = phone, app
        self._installs = launch == "activity"
        self._cleanup = CleanupGuard(phone, keep=keep)
        self._new = False
        """Whether the app was not installed before us."""
        self._placed: dict[Path, Placed] = {}
        self._code: Item | None = None

    def hold(self) -> None:
        """Have the folder, and the installed app; made anew where the connection broke.

        Raises:
            DeviceUnfit: the phone is lost, its disk full, or it does not take the app.
        """
        if self._cleanup.holds():
            return
        self.stage.forget()
        self._placed.clear()
        if not self._installs:
            self._cleanup.begin()
            return
        before = installed_hash(self._phone)
        self._new = self._new or before is None
        self._cleanup.begin(uninstall=PACKAGE if self._new else "")
        if before != self._app.sha256:
            apk = Item(self._app.path, f"{self._app.sha256}.apk", self._app.sha256)
            self.stage.bring([apk])
            install(self._phone, apk.place)

    def end(self) -> None:
        """Have everything removed; a phone that is gone does it by itself."""
        self._cleanup.end()

    def place(self, artifacts: Sequence[Path], abi: str) -> list[Placed]:
        """Have everything there that a job on ``artifacts`` needs.

        Raises:
            InputRefused, ParityError: an artifact is not what its manifest says.
            DeviceUnfit: the phone is lost, or its disk full.
        """
        for path in artifacts:
            if path not in self._placed:
                with tempfile.TemporaryDirectory(prefix="cnn-bench-") as folder:
                    artifact, probe = _artifact_items(path, Path(folder))
                    app = self._app_items(runtime_of(path).package, abi, Path(folder))
                    self.stage.bring([artifact, probe, *app])
                self._placed[path] = Placed(artifact.place, probe.place)
        return [self._placed[path] for path in artifacts]

    def libraries(self, abi: str) -> str:
        """Return the folder of the app's libraries on the phone."""
        return f"{FOLDER}/{self._library_folder(abi)}"

    @property
    def code(self) -> str:
        """Where the app's code lies on the phone, once something is placed."""
        return self._code.place if self._code else ""

    def _app_items(self, runtime: str, abi: str, folder: Path) -> list[Item]:
        """Return what ``app_process`` needs of the app; an installed app has it all."""
        if self._installs:
            return []
        code, libraries = self._app.extract(runtime, abi, folder)
        self._code = item_of(code)
        return [self._code, *(item_of(path, self._library_folder(abi)) for path in libraries)]

    def _library_folder(self, abi: str) -> str:
        return f"{self._app.sha256[:16]}-{abi}"


def _artifact_items(path: Path, folder: Path) -> tuple[Item, Item]:
    """Return the proven artifact and its probe file, which is written to ``folder``."""
    manifest = proven_manifest(path)
    artifact = item_of(path)
    probe = folder / f"{artifact.sha256}.probe"
    probe.write_text(probe_file(manifest, runtime_of(path).package), encoding="utf-8", newline="\n")
    return artifact, item_of(probe)
