"""The manifest for aapt2: what Gradle would add to the source is added here."""

from __future__ import annotations

from pathlib import Path

from build_tools.errors import BuildError
from build_tools.layout import SOURCES

PACKAGE = "org.cnnexport.bench"
ACTIVITY = f"{PACKAGE}.RunActivity"
MIN_API = 26
TARGET_API = 34
_ROOT = "<manifest "


def write_manifest(target: Path) -> Path:
    """Write the source's manifest with the package's name; return the file."""
    text = (SOURCES / "main" / "AndroidManifest.xml").read_text()
    if text.count(_ROOT) != 1:
        raise BuildError("AndroidManifest.xml has not exactly one <manifest> element")
    target.write_text(text.replace(_ROOT, f'{_ROOT}package="{PACKAGE}" '))
    return target
