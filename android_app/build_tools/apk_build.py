"""``make app``: the APK, from sources and pinned parts; then everything that can be checked of it.

javac → D8 → aapt2 → zip → zipalign → apksigner. The same inputs, tools and key give the same bytes.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from build_tools.api_check import check_api
from build_tools.apk_checks import check_apk
from build_tools.archive import read_archive, write_archive
from build_tools.debug_key import ALIAS, PASSWORD, debug_key
from build_tools.dexing import d8
from build_tools.fetch import Cache, locked
from build_tools.java import compile_java, sources, write_build_config
from build_tools.layout import APK, BUILD, MANIFEST, PINS, cache
from build_tools.manifest import MIN_API, link_resources
from build_tools.parts import Pins, read_pins
from build_tools.selection import Selection, read_selection
from build_tools.stamp import build_if_changed, digest_of
from build_tools.tools import call, require
from build_tools.vendor import Vendor

TOOLS = ("java", "javac", "keytool", "aapt2", "zipalign", "apksigner", "dexdump")
ALIGNMENT = 16384
"""Page size of the newest phones; a smaller page divides it."""

_WORK = BUILD / "apk"


def build_apk() -> None:
    """Build, unless nothing changed, and check.

    Raises:
        BuildError: a tool or part is missing, a step fails, or the APK is not as it must be.
    """
    selection = read_selection()
    require(TOOLS)
    pins, store = read_pins(PINS), Cache(cache())
    groups = [f"apk-{runtime}" for runtime in selection.runtimes]
    with locked(BUILD / "lock"):
        store.fetch(pins.group("apk", "check", *groups))
        key = debug_key(store.folder)
        own = sources("main", "android", *selection.runtimes)
        scripts = sorted(Path(__file__).parent.glob("*.py"))
        inputs = [*own, *scripts, PINS, MANIFEST, key]
        digest = digest_of(inputs, repr(selection))
        stamp = _WORK / "stamp"
        build_if_changed(APK, stamp, digest, lambda: _build(pins, store, selection, key))
        for line in check_apk(APK, selection):
            sys.stdout.write(line + "\n")


def _build(pins: Pins, store: Cache, selection: Selection, key: Path) -> None:
    APK.unlink(missing_ok=True)
    shutil.rmtree(_WORK, ignore_errors=True)
    _WORK.mkdir(parents=True)
    vendor = Vendor(pins, store, _WORK / "vendor")
    vendor.take(selection)
    framework = store.file(pins.parts["android-all"])
    classes = _compile(pins, framework, vendor, selection)
    jars = [*vendor.jars, classes]
    _, resources = link_resources(_WORK, framework)
    entries = {**_dex(pins, store, jars), **vendor.libraries, **read_archive(resources)}
    (_WORK / "api").mkdir()
    sys.stdout.write(check_api(jars, _WORK / "api", pins, store) + "\n")
    write_archive(entries, _WORK / "unaligned.apk")
    aligned = _WORK / "aligned.apk"
    call(["zipalign", "-f", str(ALIGNMENT), _WORK / "unaligned.apk", aligned])
    _sign(aligned, key)


def _compile(pins: Pins, framework: Path, vendor: Vendor, selection: Selection) -> Path:
    """Return the app's own classes as a jar."""
    executorch = pins.parts["executorch"]
    version = f"{executorch.official.rpartition(':')[2]} ({executorch.coordinate})"
    config = write_build_config(_WORK / "generated", version)
    own = sources("main", "android", *selection.runtimes)
    folder = _WORK / "classes"
    compile_java([config, *own], [framework, *vendor.jars], folder)
    jar = _WORK / "classes.jar"
    entries = {str(f.relative_to(folder)): f.read_bytes() for f in folder.rglob("*.class")}
    write_archive(entries, jar)
    return jar


def _dex(pins: Pins, store: Cache, jars: list[Path]) -> dict[str, bytes]:
    folder = _WORK / "dex"
    folder.mkdir()
    d8(pins, store, ["--release", "--output", str(folder), *map(str, jars)])
    return {file.name: file.read_bytes() for file in folder.glob("*.dex")}


def _sign(aligned: Path, key: Path) -> None:
    partial = APK.with_suffix(".partial")
    signer = ["--ks", key, "--ks-key-alias", ALIAS, "--ks-pass", f"pass:{PASSWORD}"]
    schemes = {"v1": "false", "v2": "true", "v3": "true", "v4": "false"}
    options = [w for name, on in schemes.items() for w in (f"--{name}-signing-enabled", on)]
    level = ["--min-sdk-version", str(MIN_API)]
    call(["apksigner", "sign", *signer, *options, *level, "--out", partial, aligned])
    partial.rename(APK)
