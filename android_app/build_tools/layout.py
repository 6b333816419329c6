"""Where everything lies."""

from __future__ import annotations

import os
from pathlib import Path

APP = Path(__file__).resolve().parents[1]
SOURCES = APP / "src"
BUILD = APP / "build"
JVM = BUILD / "jvm"
MANIFEST = SOURCES / "main" / "AndroidManifest.xml"
PINS = APP / "pins.toml"
APK = BUILD / "cnn-bench.apk"


def cache() -> Path:
    """Return the folder of fetched parts and of the debug key; outside the tree, so it stays."""
    chosen = os.environ.get("CNN_EXPORT_CACHE")
    base = Path(chosen) if chosen else Path.home() / ".cache" / "cnn-export" / "android"
    return base.absolute()
