"""The API-level check: no call that the oldest system lacks.

What is checked are the classes as D8 rewrites them for that system, since it replaces newer calls
that it knows; javac's output would give false alarms.
"""

from __future__ import annotations

from pathlib import Path

from build_tools.apk.dexing import d8
from build_tools.apk.manifest import MIN_API
from build_tools.errors import BuildError
from build_tools.parts.fetch import Cache
from build_tools.parts.pins import Pins
from build_tools.tools import SHORT_LIVED, call

_PROGRAM = Path(__file__).with_name("ApiCheck.java")


def check_api(jars: list[Path], work: Path, pins: Pins, store: Cache) -> str:
    """Check some jars together; return the line that says so.

    Raises:
        BuildError: names class, line and what is not there.
    """
    rewritten = work / "rewritten.jar"
    options = ["--classfile", "--release", "--output", str(rewritten)]
    d8(pins, store, [*options, *map(str, jars)])
    parts = [store.file(pins.parts[name]) for name in ("animal-sniffer", "asm")]
    signature = store.file(pins.parts["api-26"])
    path = ":".join(map(str, parts))
    try:
        call(["java", *SHORT_LIVED, "-cp", path, _PROGRAM, signature, rewritten])
    except BuildError as error:
        raise BuildError(f"not on API {MIN_API}: {error}") from error
    return f"API level: nothing called that API {MIN_API} lacks"
