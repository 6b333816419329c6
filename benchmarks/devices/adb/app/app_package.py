"""The app's APK on this host: its content hash, and the native libraries it carries per ABI."""

from __future__ import annotations

import dataclasses
import re
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from cnn_export.benchmarks.devices.adb.phone_info import PhoneInfo
from cnn_export.errors import DestinationError, DeviceUnfit, InputRefused, TargetUnavailable
from cnn_export.untrusted import regular_file
from cnn_export.untrusted.artifact_digest import artifact_digest

PACKAGE = "org.cnnexport.bench"
MIN_API_LEVEL = 26
BUILT = Path("android_app/build/cnn-bench.apk")
"""Where ``make app`` puts it."""
_PROVES = {
    "ai-edge-litert": ("libtensorflowlite_jni.so",),
    "onnxruntime": ("libonnxruntime4j_jni.so",),
    "executorch": ("libexecutorch.so", "libexecutorch_jni.so"),
}
"""Runtime by its host's name → libraries one of which its Java classes load."""
_OWNED = {
    "ai-edge-litert": "libtensorflowlite",
    "onnxruntime": "libonnxruntime",
    "executorch": ("libexecutorch", "libfbjni"),
}
"""How the names begin that belong to one runtime; other libraries may serve several."""

_LIBRARY = re.compile(r"lib/(?P<abi>[A-Za-z0-9_-]{1,32})/(?P<name>lib[A-Za-z0-9_.+-]{1,128}\.so)")
_DEX = re.compile(r"classes\d{0,3}\.dex")
_LIBRARY_MAX = 1 << 29


@dataclasses.dataclass(frozen=True)
class AppPackage:
    """``libraries`` are file names by ABI."""

    path: Path
    sha256: str
    libraries: Mapping[str, tuple[str, ...]]

    def abi_for(self, info: PhoneInfo) -> str:
        """Return the ABI to run with: of those the app is built for, the one the phone prefers.

        Raises:
            DeviceUnfit: the phone's Android is too old.
            TargetUnavailable: the app is built for none of the phone's ABIs.
        """
        if info.api_level < MIN_API_LEVEL:
            raise DeviceUnfit(
                f"the phone has API level {info.api_level} (Android {info.release}), the app"
                f" needs {MIN_API_LEVEL} (Android 8); use a newer phone"
            )
        for abi in info.abis:
            if abi in self.libraries:
                return abi
        raise TargetUnavailable(
            f"{self.path} is built for {_listed(self.libraries)}, the phone runs"
            f" {_listed(info.abis)}: build the app for it, with 'make app ABIS={info.abis[0]}'"
        )

    def require_runtime(self, package: str, abi: str) -> None:
        """Check that the app has a runtime.

        Raises:
            TargetUnavailable: it was built without.
        """
        wanted = _PROVES.get(package, ())
        if not set(wanted) & set(self.libraries[abi]):
            raise TargetUnavailable(
                f"{self.path} holds no {package} for {abi}: build the app with it, with 'make app'"
                " and no RUNTIMES"
            )

    def libraries_for(self, package: str, abi: str) -> list[str]:
        """Return the libraries that a runtime may load: all but those of other runtimes."""
        others = [prefix for name, prefix in _OWNED.items() if name != package]
        return [name for name in self.libraries[abi] if not any(map(name.startswith, others))]

    def extract(self, package: str, abi: str, folder: Path) -> tuple[Path, list[Path]]:
        """Write the app's code and a runtime's libraries to a folder of this host.

        Returns a file for ``CLASSPATH`` and the libraries. An APK holds the libraries of all
        runtimes; nobody wants to wait for these to be pushed.

        Raises:
            InputRefused: the APK is damaged.
            DestinationError: they cannot be written.
        """
        try:
            with zipfile.ZipFile(self.path) as archive:
                names = self.libraries_for(package, abi)
                libraries = [_extracted(archive, abi, name, folder) for name in names]
                return _code(archive, folder), libraries
        except (zipfile.BadZipFile, EOFError, zlib.error) as error:
            raise InputRefused(f"{self.path} is damaged ({error}); run 'make app' again") from error
        except OSError as error:
            raise DestinationError(f"cannot unpack {self.path}: {error.strerror}") from error


def read_app(path: Path | None) -> AppPackage:
    """Read the APK at ``path``, by default the one that ``make app`` builds.

    Raises:
        TargetUnavailable: it is not there.
        InputRefused: it is no APK.
    """
    found = path or _built()
    if regular_file.kind_at(found) != regular_file.FILE:
        raise TargetUnavailable(
            f"there is no app for phones at {found}: run 'make app', or give --app PATH"
        )
    try:
        with zipfile.ZipFile(found) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, OSError) as error:
        raise InputRefused(f"{found} is no APK ({error}); run 'make app' again") from error
    if not any(entry.filename == "classes.dex" for entry in entries):
        raise InputRefused(f"{found} is no APK: it holds no classes.dex; run 'make app' again")
    digest, _ = artifact_digest(found)
    return AppPackage(found, digest, _libraries(entries, found))


def _built() -> Path:
    """Return the APK in this folder, else in the source tree that this package is part of."""
    return BUILT if BUILT.is_file() else Path(__file__).parents[4] / BUILT


def _libraries(entries: Sequence[zipfile.ZipInfo], path: Path) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for entry in entries:
        match = _LIBRARY.fullmatch(entry.filename)
        if entry.file_size > _LIBRARY_MAX:
            raise InputRefused(f"{path}: {entry.filename} is larger than any library")
        if match is None:
            continue
        found.setdefault(match["abi"], []).append(match["name"])
    return {abi: tuple(sorted(names)) for abi, names in found.items()}


def _extracted(archive: zipfile.ZipFile, abi: str, name: str, folder: Path) -> Path:
    target = folder / name
    with archive.open(f"lib/{abi}/{name}") as source, target.open("wb") as opened:
        while chunk := source.read(1 << 20):
            opened.write(chunk)
    return target


def _code(archive: zipfile.ZipFile, folder: Path) -> Path:
    """Write the dex files as an archive of their own; the same code gives the same bytes."""
    target = folder / "code.jar"
    with zipfile.ZipFile(target, "w") as written:
        for entry in archive.infolist():
            if _DEX.fullmatch(entry.filename):
                written.writestr(zipfile.ZipInfo(entry.filename), archive.read(entry))
    return target


def _listed(abis: Mapping[str, object] | Sequence[str]) -> str:
    return ", ".join(abis) or "no ABI"
