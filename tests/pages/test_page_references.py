"""What pages and docstrings name exists, so that no move leaves a dead reference."""

from __future__ import annotations

import ast
import os
import re
from functools import cache
from pathlib import Path

import pytest
from pages import ROOT, folders, pages, tracked

ROOMS = ("reparam", "models", "benchmarks")
PYTHON = sorted(name for name in tracked() if name.endswith(".py"))
INVENTED = re.compile(r"merge_relu|unshuffle|litenet|NAME|\b(?:file|utils)\.py|-budgets\.toml")
"""What pages tell a reader to write, and what messages quote as an example."""

_FILE = r"(?:[\w.*-]+/)*[\w.*-]+\.(?:py|md|npz|java|j2|css|js|lock|toml)"
_QUOTED = rf"(?<!`)`({_FILE}|(?:[\w-]+/)+)`"
_LINKED = r"\]\(([^)#:]+)\)"
_IN_COMMENTS = rf"(?<![\w/.<>*{{-])({_FILE})(?![\w/])"
_DOTTED = re.compile(r"\bcnn_export(?:\.\w+)+")
_ROLE = re.compile(r":(?:mod|class|func|data|meth|attr|exc):`~?([^`]+)`")


def _is_file(name: str, place: str) -> bool:
    """Whether a path means something: from the root, from the page, or below the page's room."""
    name = name.rstrip("/")
    known = tracked() | folders()
    below = place.split("/", 1)[0] + "/" if "/" in place else ""
    if "*" in name:
        pattern = re.compile(r"(?:.*/)?" + re.escape(name).replace(r"\*", "[^/]*"))
        return any(pattern.fullmatch(each) for each in known)
    beside = os.path.normpath(Path(place).parent / name)
    return (
        name in known
        or beside in known
        or any(each.startswith(below) and each.endswith(f"/{name}") for each in known)
    )


def _is_dotted(name: str) -> bool:
    """Whether ``cnn_export.`` and more is a module, or ends with a name that one has."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        inside = parts[1:length]
        folder = Path(*inside) if inside[:1] and inside[0] in ROOMS else Path("export", *inside)
        for file in (f"{folder}.py", f"{folder}/__init__.py"):
            if file in tracked():
                return length == len(parts) or parts[length] in _words(file)
    return False


@cache
def _words(file: str) -> frozenset[str]:
    """Return every word of a file's code and strings."""
    return frozenset(re.findall(r"\w+", (ROOT / file).read_text(encoding="utf-8")))


@cache
def _parsed(file: str) -> tuple[str, frozenset[str]]:
    """Return what a Python file says to its reader, and every name that its code has."""
    source = (ROOT / file).read_text(encoding="utf-8")
    said = re.findall(r"(?:^|\s)#.*$", source, re.MULTILINE)
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Expr(value=ast.Constant(value=str(text))):
                said.append(text)
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.arg(arg=name):
                names.add(name)
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                names.add(name)
            case ast.alias(name=name, asname=other):
                names |= {*name.split("."), other or ""}
            case ast.ImportFrom(module=str(name)):
                names.update(name.split("."))
            case _:
                pass
    return "\n".join(said), frozenset(names)


@cache
def _all_names() -> frozenset[str]:
    return frozenset().union(*(_parsed(file)[1] for file in PYTHON))


def _is_role(name: str, file: str) -> bool:
    """Whether a Sphinx role means a module beside the file, or a name that the file has."""
    if name.startswith("cnn_export."):
        return _is_dotted(name)
    package = Path(file).parent
    first, *rest = name.lstrip(".").split(".")
    beside = f"{package / first}.py" in tracked() or str(package / first) in folders()
    if name.startswith("."):
        inside = f"{package / first}.py"
        return beside and (not rest or inside not in tracked() or rest[0] in _parsed(inside)[1])
    return (beside or first in _parsed(file)[1]) and all(each in _all_names() for each in rest)


def dead_paths(text: str, place: str, pattern: str) -> list[str]:
    """Return the paths that a text names and that are none."""
    named = {found[1] for found in re.finditer(pattern, text)}
    return sorted(
        name
        for name in named
        if not name.startswith("/") and not INVENTED.search(name) and not _is_file(name, place)
    )


def dead_names(text: str) -> list[str]:
    """Return the dotted names of this package that are none."""
    return sorted(name for name in set(_DOTTED.findall(text)) if not _is_dotted(name))


def dead_tests(text: str) -> list[str]:
    """Return the tests that a page names and that there are none of."""
    known = {Path(file).stem for file in PYTHON} | _all_names()
    return sorted(name for name in set(re.findall(r"`(test_\w+)`", text)) if name not in known)


@pytest.mark.parametrize("page", pages())
def test_what_a_page_names_exists(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    dead = dead_paths(text, page, _QUOTED) + dead_paths(text, page, _LINKED)
    assert dead + dead_names(text) + dead_tests(text) == []


def test_what_docstrings_and_comments_name_exists() -> None:
    dead: list[str] = []
    for file in PYTHON:
        text = _parsed(file)[0]
        found = dead_paths(text, file, _IN_COMMENTS) + dead_names(text)
        found += [name for name in _ROLE.findall(text) if not _is_role(name, file)]
        dead += [f"{file}: {name}" for name in found]
    assert dead == []


@pytest.mark.parametrize(
    ("text", "dead"),
    [
        ("`proof/parity.py` and `gone.py`", ["gone.py"]),
        ("`export/proof/`, `nowhere/`, `tests/targets/coreml/test_mil_*.py`", ["nowhere/"]),
        ("`/data/local/tmp/x.py`, `passes/merge_relu.py`", []),
    ],
)
def test_a_dead_path_is_found(text: str, dead: list[str]) -> None:
    assert dead_paths(text, "export/README.md", _QUOTED) == dead


def test_dead_names_are_found() -> None:
    text = "cnn_export.proof.parity, cnn_export.proof.gone, cnn_export.acb_convert"
    assert dead_names(text) == ["cnn_export.proof.gone"]
    assert dead_tests("`test_a_dead_path_is_found`, `test_of_nothing`") == ["test_of_nothing"]
    assert _is_role(".numbered", "benchmarks/report/page.py")
    assert not _is_role(".gone", "benchmarks/report/page.py")
    assert not _is_role("Gone.value", "benchmarks/report/page.py")
