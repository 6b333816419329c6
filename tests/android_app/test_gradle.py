"""The Gradle project is not run here; what it says must at least agree with the build that is."""

from __future__ import annotations

import re

import pytest
from build_tools.apk.manifest import MIN_API, PACKAGE, TARGET_API
from build_tools.layout import APP, PINS, SOURCES
from build_tools.parts.pins import read_pins
from build_tools.selection import RUNTIMES

GRADLE = (APP / "build.gradle").read_text()


def _dependencies() -> set[str]:
    version = re.search(r"def executorchVersion = '([^']+)'", GRADLE)
    assert version
    text = GRADLE.replace("${executorchVersion}", version[1])
    return set(re.findall(r"implementation ['\"]([^'\"]+)['\"]", text))


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_the_runtimes_are_the_pinned_ones(runtime: str) -> None:
    part = read_pins(PINS).parts[runtime]
    assert (part.official or part.coordinate.removesuffix(":aar")) in _dependencies()


def test_tflites_parts_are_of_one_version() -> None:
    tflite = [name for name in _dependencies() if name.startswith("org.tensorflow:")]
    assert {name.rpartition(":")[2] for name in tflite} == {read_pins(PINS).parts["tflite"].version}


def test_the_levels_and_the_package_are_the_same() -> None:
    for line in (
        f"minSdk {MIN_API}",
        f"targetSdk {TARGET_API}",
        f"compileSdk {TARGET_API}",
        f"namespace '{PACKAGE}'",
        f"applicationId '{PACKAGE}'",
    ):
        assert f"{line}\n" in GRADLE


def test_every_source_set_of_the_app_is_compiled() -> None:
    named = re.search(r"java.srcDirs = \[([^]]+)]", GRADLE)
    assert named
    own = {folder.name for folder in SOURCES.iterdir()} - {"test", "robolectric", "gradle"}
    assert set(re.findall(r"'(\w+)'", named[1])) == own


def test_no_registry_is_named_by_its_address() -> None:
    for file in (APP / "build.gradle", APP / "settings.gradle", PINS):
        assert "://" not in file.read_text()
