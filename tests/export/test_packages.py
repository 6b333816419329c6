"""A wheel holds every package; an editable install would not show a missing one."""

import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROOMS = {"export": "cnn_export"} | {
    room: f"cnn_export.{room}" for room in ("reparam", "models", "benchmarks")
}

STUDIES = "cnn_export.benchmarks.studies."  # commands of a checkout, not of the wheel


def test_every_package_is_declared():
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    found = set()
    for room, name in ROOMS.items():
        for marker in (ROOT / room).rglob("__init__.py"):
            below = marker.parent.relative_to(ROOT / room).parts
            found.add(".".join((name, *below)))
    found = {package for package in found if not f"{package}.".startswith(STUDIES)}
    assert found == set(declared["tool"]["setuptools"]["packages"])
