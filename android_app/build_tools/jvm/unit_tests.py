"""Compiles the JVM tests and names what runs them."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path

from build_tools.apk.manifest import PACKAGE
from build_tools.compiling import compile_java, sources
from build_tools.jvm.build import build_jvm, classpath
from build_tools.layout import BUILD, JVM, PINS, cache
from build_tools.parts.fetch import Cache, locked
from build_tools.parts.pins import read_pins
from build_tools.stamp import build_if_changed, digest_of
from build_tools.tools import SHORT_LIVED

_TEST = BUILD / "test"


@dataclasses.dataclass(frozen=True)
class JavaTests:
    """A built set of tests: what is on its classpath, and JUnit's console."""

    classes: Path
    classpath: tuple[Path, ...]
    console: Path

    def command(self, properties: Mapping[str, str]) -> list[str]:
        """Return the command that runs all of them, with some system properties."""
        path = ":".join(map(str, [self.classes, *self.classpath]))
        defined = [f"-D{key}={value}" for key, value in properties.items()]
        java = ["java", *SHORT_LIVED, f"-Djava.library.path={JVM / 'natives'}", *defined]
        run = ["-jar", str(self.console), "execute", "--disable-banner", "--details=tree"]
        return [*java, *run, "--class-path", path, "--scan-class-path", str(self.classes)]

    def main(self, name: str, *arguments: str) -> list[str]:
        """Return the command that runs the ``main`` of a class, named below the app's package."""
        path = ":".join(map(str, [self.classes, *self.classpath]))
        library = f"-Djava.library.path={JVM / 'natives'}"
        return ["java", library, "-cp", path, f"{PACKAGE}.{name}", *arguments]


def environment() -> dict[str, str]:
    """Return the environment for a JVM that loads ONNX Runtime.

    Unless told not to, it reports to its vendor, for which it takes the command line apart; a long
    one (tests have long classpaths) crashes it.
    """
    return {**os.environ, "ORT_DISABLE_TELEMETRY": "1"}


def build_tests() -> JavaTests:
    """Build the app for the JVM and its tests, where anything changed.

    Raises:
        BuildError: a tool or part is missing, or the sources do not compile.
    """
    build_jvm()
    pins, store = read_pins(PINS), Cache(cache())
    with locked(BUILD / "lock"):
        store.fetch(pins.group("test"))
        console = store.file(pins.parts["junit"])
        classes, own = _TEST / "classes", sources("test")
        digest = digest_of([*own, JVM / "stamp"])
        path = [*classpath(), console]
        build_if_changed(classes, _TEST / "stamp", digest, lambda: compile_java(own, path, classes))
    return JavaTests(classes, tuple(classpath()), console)
