"""Where the app's classes can infer on a JVM."""

from __future__ import annotations

import platform

import pytest

needs_linux = pytest.mark.skipif(
    (platform.system(), platform.machine()) != ("Linux", "x86_64"),
    reason="TFLite's desktop library for Java exists for Linux on x86_64 only",
)
