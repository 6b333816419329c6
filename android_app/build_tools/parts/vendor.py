"""The vendors' parts, unpacked: jars for the compiler, libraries for the phone."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

from build_tools.errors import BuildError
from build_tools.parts.fetch import Cache
from build_tools.parts.pins import Pins
from build_tools.selection import Selection

_NPM_CLASSES = "package/android/libs/classes.jar"
_NPM_LIBRARY = "package/third-party/android/libs/executorch/{abi}/libexecutorch.so"
_NPM_AAR = "package/Plugins/Android/onnxruntime.aar"


class Vendor:
    """Jars and libraries of one build, unpacked below a folder."""

    def __init__(self, pins: Pins, store: Cache, folder: Path) -> None:
        self._pins = pins
        self._store = store
        self._folder = folder
        self.jars: list[Path] = []
        self.libraries: dict[str, bytes] = {}
        """``lib/ABI/NAME.so`` → content."""

    def take(self, selection: Selection) -> None:
        """Unpack what the selection needs.

        Raises:
            BuildError: a part does not hold what it should.
        """
        unpack: Mapping[str, Callable[[tuple[str, ...]], None]] = {
            "tflite": self._tflite,
            "onnxruntime": self._onnxruntime,
            "executorch": self._executorch,
        }
        self._folder.mkdir(parents=True)
        for runtime in selection.runtimes:
            unpack[runtime](selection.abis)

    def _file(self, name: str) -> Path:
        return self._store.file(self._pins.parts[name])

    def _tflite(self, abis: tuple[str, ...]) -> None:
        self._aar("tflite", self._file("tflite"), abis)
        self._aar("tflite-api", self._file("tflite-api"), ())

    def _onnxruntime(self, abis: tuple[str, ...]) -> None:
        self._aar("onnxruntime", self._file("onnxruntime") / _NPM_AAR, abis)

    def _executorch(self, abis: tuple[str, ...]) -> None:
        self._aar("fbjni", self._file("fbjni"), abis)
        package = self._file("executorch")
        self.jars += [package / _NPM_CLASSES, self._file("nativeloader")]
        for abi in abis:
            library = package / _NPM_LIBRARY.format(abi=abi)
            self.libraries[f"lib/{abi}/{library.name}"] = library.read_bytes()

    def _aar(self, name: str, file: Path, abis: tuple[str, ...]) -> None:
        jar = self._folder / f"{name}.jar"
        with zipfile.ZipFile(file) as archive:
            jar.write_bytes(archive.read("classes.jar"))
            for abi in abis:
                self._take_libraries(archive, file, abi)
        self.jars.append(jar)

    def _take_libraries(self, archive: zipfile.ZipFile, file: Path, abi: str) -> None:
        names = [n for n in archive.namelist() if n.startswith(f"jni/{abi}/") and n.endswith(".so")]
        if not names:
            raise BuildError(f"{file.name} holds no library for {abi}")
        for name in names:
            self.libraries[f"lib/{abi}/{Path(name).name}"] = archive.read(name)
