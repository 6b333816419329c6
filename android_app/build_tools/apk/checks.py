"""Everything that can be proven of an APK without a phone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from build_tools.apk.archive import read_archive
from build_tools.apk.elf import Library, read_library
from build_tools.apk.manifest import ACTIVITY, MIN_API, PACKAGE, TARGET_API
from build_tools.errors import BuildError
from build_tools.selection import Selection
from build_tools.tools import call

_PAGE = 16384
_SYSTEM_LIBRARIES = {
    *("libc.so", "libm.so", "libdl.so", "liblog.so", "libandroid.so", "libz.so"),
    *("libEGL.so", "libGLESv2.so", "libGLESv3.so", "libjnigraphics.so", "libnativewindow.so"),
}
"""What every phone offers to apps (the NDK's stable list, as far as it is used)."""


def check_apk(apk: Path, selection: Selection) -> Iterator[str]:
    """Yield a line per check that holds, and the warnings.

    Raises:
        BuildError: a check does not hold.
    """
    yield _badging(apk, selection)
    yield _alignment(apk)
    yield _signature(apk)
    yield from _libraries(apk, selection)


def _badging(apk: Path, selection: Selection) -> str:
    text = call(["aapt2", "dump", "badging", apk])
    manifest = call(["aapt2", "dump", "xmltree", "--file", "AndroidManifest.xml", apk])
    wanted = [f"package: name='{PACKAGE}'", f"targetSdkVersion:'{TARGET_API}'"]
    wanted += [f"'{abi}'" for abi in selection.abis]
    for part in wanted:
        _require(part in text, f"badging lacks {part}")
    _require(re.search(rf"^(minS|s)dkVersion:'{MIN_API}'$", text, re.M), "badging: minimum API")
    _require(ACTIVITY in manifest, f"the manifest lacks {ACTIVITY}")
    _require("uses-permission:" not in text, "the app asks for a permission")
    _require(
        "application-debuggable" not in text, "the app is debuggable: it would be timed slower"
    )
    _require("provider" not in manifest, "the manifest declares a provider")
    return f"badging: {PACKAGE}, API {MIN_API} to {TARGET_API}, {' '.join(selection.abis)}"


def _alignment(apk: Path) -> str:
    call(["zipalign", "-c", str(_PAGE), apk])
    return f"alignment: every stored entry at a multiple of {_PAGE}"


def _signature(apk: Path) -> str:
    text = call(["apksigner", "verify", "--verbose", "--min-sdk-version", str(MIN_API), apk])
    for scheme in ("v2", "v3"):
        _require(
            re.search(rf"^Verified using {scheme} scheme .*: true$", text, re.M),
            f"the {scheme} signature does not verify",
        )
    return "signature: v2 and v3 verified"


def _libraries(apk: Path, selection: Selection) -> Iterator[str]:
    found = {n: content for n, content in read_archive(apk).items() if n.endswith(".so")}
    for abi in selection.abis:
        own = {n: read_library(c, n) for n, c in found.items() if n.startswith(f"lib/{abi}/")}
        _require_complete(own)
        for name, library in sorted(own.items()):
            megabytes = len(found[name]) / 1e6
            yield f"{name}: {megabytes:.1f} MB, pages of {library.alignment // 1024} KB"
            if library.alignment < _PAGE and abi in ("arm64-v8a", "x86_64"):
                yield f"warning: {name} does not load on phones with pages of {_PAGE // 1024} KB"


def _require_complete(own: dict[str, Library]) -> None:
    """Check that what libraries need is in the APK too, or on every phone."""
    there = {Path(name).name for name in own} | _SYSTEM_LIBRARIES
    for name, library in own.items():
        for needed in library.needed:
            _require(needed in there, f"{name} needs {needed}, which is not in the APK")


def _require(holds: object, message: str) -> None:
    if not holds:
        raise BuildError(f"the APK is not as it must be: {message}")
