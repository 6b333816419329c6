"""``make app-jvm``: the app's own classes for a JVM, with runtimes that infer there.

ONNX Runtime's desktop jar carries its libraries, which it would unpack at every start; they are
unpacked here once. TFLite's classes are 2.6.0, for which Maven has a desktop library.
"""

from __future__ import annotations

import platform
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

from build_tools.compiling import compile_java, sources
from build_tools.errors import BuildError
from build_tools.layout import BUILD, JVM, PINS, cache
from build_tools.parts.fetch import Cache, locked
from build_tools.parts.pins import Pins, read_pins
from build_tools.stamp import build_if_changed, build_scripts, digest_of
from build_tools.tools import require

SOURCE_SETS = ("main", "tflite", "onnxruntime")
_ORT_NATIVES = "ai/onnxruntime/native/linux-x64/"
_TFLITE_NATIVES = "native/lib/libtensorflowlite_jni.so"


def build_jvm() -> bool:
    """Build if anything changed; return whether it did.

    Raises:
        BuildError: a tool or part is missing, or the sources do not compile.
    """
    require(["java", "javac"])
    _require_platform()
    pins = read_pins(PINS)
    store = Cache(cache())
    with locked(BUILD / "lock"):
        store.fetch(pins.group("jvm"))
        own = sources(*SOURCE_SETS)
        digest = digest_of([*own, *build_scripts(), PINS], str(JVM))
        output, stamp = JVM / "classpath.txt", JVM / "stamp"
        return build_if_changed(output, stamp, digest, lambda: _build(pins, store, own))


def classpath() -> list[Path]:
    """Return the built classpath, the app's classes first."""
    return [Path(entry) for entry in (JVM / "classpath.txt").read_text().strip().split(":")]


def _require_platform() -> None:
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        raise BuildError("app-jvm needs Linux on x86_64, where TFLite's desktop library is from")


def _build(pins: Pins, store: Cache, own: list[Path]) -> None:
    natives = JVM / "natives"
    shutil.rmtree(JVM, ignore_errors=True)
    natives.mkdir(parents=True)
    tflite, ort = JVM / "tensorflow-lite.jar", JVM / "onnxruntime.jar"
    with zipfile.ZipFile(store.file(pins.parts["tflite-jvm"])) as archive:
        tflite.write_bytes(archive.read("classes.jar"))
    with zipfile.ZipFile(store.file(pins.parts["tflite-jvm-natives"])) as archive:
        _unpack(archive, natives, lambda name: name == _TFLITE_NATIVES)
    with zipfile.ZipFile(store.file(pins.parts["onnxruntime-jvm"])) as archive:
        _unpack(archive, natives, lambda name: name.startswith(_ORT_NATIVES))
        _classes_only(archive, ort)
    compile_java(own, [tflite, ort], JVM / "classes")
    entries = [JVM / "classes", tflite, ort]
    (JVM / "classpath.txt").write_text(":".join(map(str, entries)) + "\n")


def _unpack(archive: zipfile.ZipFile, folder: Path, wanted: Callable[[str], bool]) -> None:
    for name in archive.namelist():
        if wanted(name) and name.endswith(".so"):
            (folder / Path(name).name).write_bytes(archive.read(name))


def _classes_only(archive: zipfile.ZipFile, target: Path) -> None:
    with zipfile.ZipFile(target, "w") as slim:
        for name in archive.namelist():
            if name.endswith(".class"):
                slim.writestr(zipfile.ZipInfo(name), archive.read(name))
