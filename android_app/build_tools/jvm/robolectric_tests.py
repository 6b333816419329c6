"""Compiles the tests that drive the real Activities on Robolectric's system.

The manifest and resources they see are those that aapt2 makes for the APK.
"""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Mapping
from pathlib import Path

from build_tools.apk.manifest import PACKAGE, link_resources
from build_tools.compiling import compile_java, sources
from build_tools.jvm.unit_tests import build_tests
from build_tools.layout import BUILD, JVM, MANIFEST, PINS, cache
from build_tools.parts.fetch import Cache, locked
from build_tools.parts.pins import Pins, read_pins
from build_tools.stamp import build_if_changed, build_scripts, digest_of
from build_tools.tools import SHORT_LIVED, require

SOURCE_SETS = ("main", "android", "tflite", "onnxruntime", "robolectric")
_FOLDER = BUILD / "robolectric"
_TEST = f"{PACKAGE}.RunActivityTest"


@dataclasses.dataclass(frozen=True)
class RobolectricTests:
    """The built tests, their classpath, and the folder of systems that needs no network."""

    classpath: tuple[Path, ...]
    systems: Path

    def command(self, properties: Mapping[str, str]) -> list[str]:
        """Return the command that runs them, with some system properties."""
        defined = {
            "java.library.path": str(JVM / "natives"),
            "robolectric.offline": "true",
            "robolectric.dependency.dir": str(self.systems),
            **properties,
        }
        options = [f"-D{key}={value}" for key, value in defined.items()]
        path = ":".join(map(str, self.classpath))
        return ["java", *SHORT_LIVED, *options, "-cp", path, "org.junit.runner.JUnitCore", _TEST]


def build_robolectric_tests() -> RobolectricTests:
    """Build, where anything changed.

    Raises:
        BuildError: a tool or part is missing, or the sources do not compile.
    """
    unit = build_tests()
    require(["aapt2"])
    pins, store = read_pins(PINS), Cache(cache())
    with locked(BUILD / "lock"):
        store.fetch(pins.group("android-test", "android-test-system"))
        runtimes = [path for path in unit.classpath if path.suffix == ".jar"]
        jars = [store.file(part) for part in pins.group("android-test")]
        framework = store.file(pins.parts["android-all"])
        path = [unit.classes, *runtimes, *jars, framework]
        own = sources(*SOURCE_SETS)
        digest = digest_of([*own, *build_scripts(), PINS, MANIFEST])
        classes = _FOLDER / "classes"
        build_if_changed(
            classes, _FOLDER / "stamp", digest, lambda: _build(own, path, classes, framework)
        )
        return RobolectricTests((classes, *path), _systems(pins, store))


def _build(own: list[Path], path: list[Path], classes: Path, framework: Path) -> None:
    shutil.rmtree(_FOLDER, ignore_errors=True)
    compile_java(own, path, classes)
    manifest, resources = link_resources(_FOLDER, framework)
    config = classes / "com" / "android" / "tools" / "test_config.properties"
    config.parent.mkdir(parents=True)
    config.write_text(
        f"android_merged_manifest={manifest}\n"
        f"android_resource_apk={resources}\n"
        f"android_custom_package={PACKAGE}\n"
    )


def _systems(pins: Pins, store: Cache) -> Path:
    """Return a folder that holds the system under its file name, as Robolectric looks for it."""
    folder = _FOLDER / "systems"
    folder.mkdir(parents=True, exist_ok=True)
    system = store.file(pins.parts["android-all-instrumented"])
    link = folder / system.name
    if not link.exists():
        link.unlink(missing_ok=True)
        link.symlink_to(system)
    return folder
