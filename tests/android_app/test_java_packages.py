"""The app's packages: what each may import, as the table in android_app/README.md has it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pytest
from build_tools.apk.manifest import PACKAGE
from build_tools.layout import APP, SOURCES
from build_tools.selection import RUNTIMES

ROOT = APP.parent
TEST_SETS = {"test", "robolectric"}
GENERATED = f"{PACKAGE}.BuildConfig"
"""A constant that the build writes; Gradle puts it into the app's own package."""
CLASSES_MAX = 12
ROW = re.compile(r"^\| `(bench[\w.]*)` \|.*\|([^|]*)\|$", re.M)

Rules = Mapping[str, set[str]]


def read_rules(page: str) -> dict[str, set[str]]:
    """The page's rows from the bottom up: package → packages that it imports."""
    return {name: set(re.findall(r"`([\w.]+)`", imports)) for name, imports in ROW.findall(page)}


RULES = read_rules((APP / "README.md").read_text())


def _short(package: str) -> str:
    return package.removeprefix(PACKAGE.removesuffix("bench"))


def _package(file: Path) -> str:
    declared = re.search(r"^package ([\w.]+);$", file.read_text(), re.M)
    assert declared, file
    return _short(declared[1])


def _imported(file: Path) -> set[str]:
    """The app's packages that a file names, by import or in full; comments do not count."""
    code = re.sub(r"/\*.*?\*/|//[^\n]*|^package .*?;", "", file.read_text(), flags=re.S | re.M)
    names = re.findall(
        rf"\b{re.escape(PACKAGE)}(?:\.[a-z]\w*)*(?=\.(?:[A-Z]|\*))", code.replace(GENERATED, "")
    )
    return {_short(name) for name in names}


def violations(sources: Path, rules: Rules) -> list[str]:
    """What in some source sets is not as the rules say, a line each."""
    found: list[str] = []
    imports: dict[str, set[str]] = {name: set() for name in rules}
    classes: dict[str, int] = {}
    for file in sorted(sources.glob("*/java/org/cnnexport/**/*.java")):
        source_set, _, *folders = file.relative_to(sources).parts[:-1]
        package = _package(file)
        if package != _short(".".join(folders)):
            found.append(f"{file.name} lies in another folder than its package {package}")
        elif package not in rules:
            found.append(f"{file.name}: the page has no package {package}")
        elif source_set not in TEST_SETS:
            imports[package] |= _imported(file) - {package}
            classes[package] = classes.get(package, 0) + 1
    for package, allowed in rules.items():
        found += [f"{package} imports {name}" for name in sorted(imports[package] - allowed)]
        found += [f"{package} never imports {name}" for name in sorted(allowed - imports[package])]
    found += [f"{p} holds {n} classes" for p, n in classes.items() if n > CLASSES_MAX]
    return found


def test_every_package_imports_what_the_page_says() -> None:
    assert len(RULES) >= 10
    assert violations(SOURCES, RULES) == []


def test_the_page_goes_from_the_bottom_up() -> None:
    """So that there is no circle: a package imports only what stands above it on the page."""
    known: set[str] = set()
    for package, allowed in RULES.items():
        assert allowed <= known, package
        known.add(package)


def test_every_runtime_of_the_build_has_its_package() -> None:
    above = "bench.runtime."
    assert {name.removeprefix(above) for name in RULES if name.startswith(above)} == set(RUNTIMES)


SMALL: Rules = {"bench.low": set(), "bench.high": {"bench.low"}}
USE = f"import {PACKAGE}.low.Low;"


def _write(sources: Path, package: str, name: str, text: str = "", folder: str = "") -> None:
    place = sources / "main" / "java" / Path(*(folder or f"{PACKAGE}.{package}").split("."))
    place.mkdir(parents=True, exist_ok=True)
    (place / f"{name}.java").write_text(
        f"package {PACKAGE}.{package};\n\n{text}\nclass {name} {{}}\n"
    )


@pytest.fixture
def small(tmp_path: Path) -> Path:
    _write(tmp_path, "low", "Low")
    _write(tmp_path, "high", "High", USE)
    assert violations(tmp_path, SMALL) == []
    return tmp_path


@pytest.mark.parametrize(
    "text",
    [
        f"import {PACKAGE}.high.High;",
        f"import {PACKAGE}.high.*;",
        f"import static {PACKAGE}.high.High.MAX;",
        f"// no import\nfinal {PACKAGE}.high.High field = null;",
    ],
)
def test_an_arrow_upwards_is_found(small: Path, text: str) -> None:
    _write(small, "low", "Other", text)
    assert violations(small, SMALL) == ["bench.low imports bench.high"]


def test_an_arrow_in_a_comment_is_none(small: Path) -> None:
    _write(small, "low", "Other", f"/** As {PACKAGE}.high.High. */\n// {PACKAGE}.high.High")
    assert violations(small, SMALL) == []


def test_an_arrow_that_is_gone_is_found(small: Path) -> None:
    _write(small, "high", "High")
    assert violations(small, SMALL) == ["bench.high never imports bench.low"]


def test_an_unknown_package_is_found(small: Path) -> None:
    _write(small, "other", "Other")
    assert violations(small, SMALL) == ["Other.java: the page has no package bench.other"]


def test_a_file_in_another_packages_folder_is_found(small: Path) -> None:
    _write(small, "low", "Other", folder=f"{PACKAGE}.high")
    assert violations(small, SMALL) == [
        "Other.java lies in another folder than its package bench.low"
    ]


def test_a_drawer_is_found(small: Path) -> None:
    for index in range(CLASSES_MAX):
        _write(small, "low", f"Low{index}")
    assert violations(small, SMALL) == [f"bench.low holds {CLASSES_MAX + 1} classes"]


def test_files_that_comments_name_exist() -> None:
    named = {
        name
        for file in SOURCES.rglob("*.java")
        for name in re.findall(
            r"\b(?:android_app|benchmarks|export|tests)/[\w/]+\.\w+", file.read_text()
        )
    }
    assert len(named) >= 10
    assert [name for name in sorted(named) if not (ROOT / name).is_file()] == []
