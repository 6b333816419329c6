"""Runs D8, which rewrites classes for the oldest system the app starts on."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from build_tools.apk.manifest import MIN_API
from build_tools.parts.fetch import Cache
from build_tools.parts.pins import Pins
from build_tools.tools import SHORT_LIVED, call


def d8(pins: Pins, store: Cache, arguments: Sequence[str]) -> None:
    """Run it on ``arguments``; the framework's jar lacks ``java.*``, which the JDK adds.

    Raises:
        BuildError: what D8 said.
    """
    java_home = Path(os.path.realpath(shutil.which("javac") or "")).parents[1]
    framework = store.file(pins.parts["android-all"])
    jar = store.file(pins.parts["r8"])
    program = ["java", *SHORT_LIVED, "-cp", jar, "com.android.tools.r8.D8"]
    libraries = ["--lib", framework, "--lib", java_home]
    call([*program, "--min-api", str(MIN_API), *libraries, *arguments])
