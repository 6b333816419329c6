"""The manifest and resources, by aapt2; what Gradle would add to the source is added here."""

from __future__ import annotations

from pathlib import Path

from build_tools.errors import BuildError
from build_tools.layout import MANIFEST
from build_tools.tools import call

PACKAGE = "org.cnnexport.bench"
ACTIVITY = f"{PACKAGE}.RunActivity"
MIN_API = 26
TARGET_API = 34
_ROOT = "<manifest "


def link_resources(folder: Path, framework: Path) -> tuple[Path, Path]:
    """Make the app's manifest and resources in ``folder``; return the manifest and aapt2's APK.

    Raises:
        BuildError: what aapt2 said.
    """
    manifest, linked = folder / "AndroidManifest.xml", folder / "resources.apk"
    _write_manifest(manifest)
    levels = ["--min-sdk-version", str(MIN_API), "--target-sdk-version", str(TARGET_API)]
    version = ["--version-code", "1", "--version-name", "1"]
    call(
        ["aapt2", "link", "-I", framework, "--manifest", manifest, "-o", linked, *levels, *version]
    )
    return manifest, linked


def _write_manifest(target: Path) -> None:
    text = MANIFEST.read_text()
    if text.count(_ROOT) != 1:
        raise BuildError("AndroidManifest.xml has not exactly one <manifest> element")
    target.write_text(text.replace(_ROOT, f'{_ROOT}package="{PACKAGE}" '))
