"""The rooms of ARCHITECTURE.md, held against the imports that the source has.

The tables there say everything that is allowed, and nothing that is not used: a new arrow is a
change of the drawing, which somebody has to want.
"""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("export", "reparam", "models", "benchmarks")
ARCHITECTURE = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
HEAVY = ("torch", "torchvision", "timm", "numpy", "pydantic", "scipy", "rich", "jinja2", "adbutils")


def _table(heading: str) -> dict[str, tuple[str, ...]]:
    """Return the rows ``name  word word …`` of the block below that heading, in their order."""
    block = re.search(rf"^## {heading}\n.*?^```\n(.*?)^```", ARCHITECTURE, re.M | re.S)
    assert block, f"ARCHITECTURE.md has no block below {heading!r}"
    rows = [row.split() for row in re.split(r"\n(?=\S)", block[1].strip())]
    table = {first: tuple(rest) for first, *rest in rows}
    assert len(table) == len(rows), "a room stands there twice"
    return table


ROOMS = _table("Rooms and what they import")
PACKAGES = _table("Heavy packages")


def _module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    parts = parts[:-1] if parts[-1] == "__init__" else parts
    return ".".join(("cnn_export", *(parts[1:] if parts[0] == "export" else parts)))


FILES = {_module_of(path): path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")}


def _room_of(module: str) -> str:
    """Return the longest listed room that the module's file lies in."""
    path = FILES[module].relative_to(ROOT).with_suffix("").as_posix().removesuffix("/__init__")
    within = [room for room in ROOMS if f"{path}/".startswith(f"{room}/")]
    assert within, f"{path} lies in no room of ARCHITECTURE.md"
    return max(within, key=len)


def _imported(tree: ast.AST) -> Iterator[str]:
    """Yield every imported name, of whole modules and of what is taken from them."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, "imports are absolute here"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@functools.cache
def _imports(module: str) -> frozenset[str]:
    return frozenset(_imported(ast.parse(FILES[module].read_text(encoding="utf-8"))))


def _own(imported: str) -> str | None:
    """Return the module of this project that is imported; the version is nobody's arrow."""
    module = imported if imported in FILES else imported.rpartition(".")[0]
    return module if module in FILES and module != "cnn_export" else None


def _arrows() -> dict[tuple[str, str], str]:
    """Return one import for each pair of rooms, first the room that imports."""
    found: dict[tuple[str, str], str] = {}
    for module in FILES:
        for imported in map(_own, _imports(module)):
            if imported and (arrow := (_room_of(module), _room_of(imported))) not in found:
                found[arrow] = f"{module} imports {imported}"
    return {arrow: example for arrow, example in found.items() if arrow[0] != arrow[1]}


def test_every_arrow_is_drawn() -> None:
    drawn = {(room, other) for room, others in ROOMS.items() for other in others}
    undrawn = {arrow: example for arrow, example in _arrows().items() if arrow not in drawn}
    assert not undrawn


def test_every_drawn_arrow_is_there() -> None:
    drawn = {(room, other) for room, others in ROOMS.items() for other in others}
    assert drawn <= _arrows().keys()


def test_arrows_go_upwards_in_the_list_only() -> None:
    """So there is no circle either: a room imports only rooms that are listed before it."""
    order = list(ROOMS)
    for room, others in ROOMS.items():
        assert all(order.index(other) < order.index(room) for other in others), room


def test_no_module_imports_itself_through_others() -> None:
    arrows = {
        module: {own for own in map(_own, _imports(module)) if own and own != module}
        for module in FILES
    }
    while free := [module for module, others in arrows.items() if not others & arrows.keys()]:
        for module in free:
            del arrows[module]
    assert not arrows, "what is left imports in a circle"


@pytest.mark.parametrize("package", HEAVY)
def test_heavy_packages_stay_in_their_rooms(package: str) -> None:
    """Wherever the import stands, at the top of a module or inside of a function."""
    importing = {
        FILES[module].relative_to(ROOT).as_posix()
        for module in FILES
        if any(name.split(".")[0] == package for name in _imports(module))
    }
    for folder in PACKAGES[package]:
        inside = {file for file in importing if file.startswith(f"{folder}/")}
        assert inside, f"nothing in {folder} imports {package}"
        importing -= inside
    assert not importing
