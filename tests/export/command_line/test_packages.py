"""A wheel holds every package and its data; an editable install would not show a missing one."""

from __future__ import annotations

import tomllib
import zipfile
from pathlib import Path

import pytest
from wheel import ROOMS, ROOT, built_wheel

STUDIES = "cnn_export.benchmarks.studies."  # commands of a checkout, not of the wheel
DATA = {
    "cnn_export/py.typed",
    "cnn_export/source/networks/listed_models.json",
    "cnn_export/source/networks/timm_index.json",
    "cnn_export/source/networks/torchvision_index.json",
    "cnn_export/benchmarks/report/templates/report.html.j2",
    "cnn_export/benchmarks/report/templates/style.css",
    "cnn_export/benchmarks/selfcheck/recorded_noise.npz",
    "cnn_export/models/checkpoints/skipnet_digits.pt",
}


def _packages() -> set[str]:
    """Return the packages of the folders, but those of the studies."""
    found = {
        ".".join((name, *marker.parent.relative_to(ROOT / room).parts))
        for room, name in ROOMS.items()
        for marker in (ROOT / room).rglob("__init__.py")
    }
    return {package for package in found if not f"{package}.".startswith(STUDIES)}


def test_every_package_is_declared():
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert _packages() == set(declared["tool"]["setuptools"]["packages"])


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The names in the wheel."""
    return set(zipfile.ZipFile(built_wheel(tmp_path_factory.mktemp("built"))).namelist())


def test_the_wheel_holds_every_module(wheel: set[str]):
    modules = {
        f"{package.replace('.', '/')}/{file.name}"
        for package in _packages()
        for file in _folder(package).glob("*.py")
    }
    assert {name for name in wheel if name.endswith(".py")} == modules


def _folder(package: str) -> Path:
    room, *below = package.split(".")[1:] or ("export",)
    return ROOT / Path(*((room,) if room in ROOMS else ("export", room)), *below)


def test_the_wheel_holds_the_data(wheel: set[str]):
    others = {name for name in wheel if not name.endswith(".py") and ".dist-info/" not in name}
    assert others == DATA


def test_the_studies_stay_in_the_checkout(wheel: set[str]):
    assert not [name for name in wheel if "studies" in name]
    flat = list((ROOT / "benchmarks" / "studies").glob("*.py"))
    assert len(flat) <= 12 + 1, "and its __init__"
