"""Seeded mutants of the product, and the tests that kill them.

``python tests/mutants.py --count 40 --seed 11`` changes one small thing of one module at a time in
this checkout, runs the tests that reach the module, nearest first, and puts the file back. A
mutant that every test lets live is printed at the end: a test is missing there, or the code is
not needed.
"""

from __future__ import annotations

import argparse
import ast
import copy
import dataclasses
import functools
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDERS = ("export", "reparam", "models", "benchmarks")
_COMPARED = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq, ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
}  # fmt: skip
_COMPUTED = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult, ast.Mod: ast.FloorDiv, ast.Pow: ast.Mult,
}  # fmt: skip

_MOST_STEPS = 8
"""As far as from a command's test to a module of a device."""


@dataclasses.dataclass(frozen=True)
class Mutant:
    """One changed line of one file."""

    path: Path
    line: int
    before: str
    after: str

    def __str__(self) -> str:
        """Return where and what, on one line."""
        return f"{self.path.relative_to(ROOT)}:{self.line}: {self.before} -> {self.after}"


def variants(node: ast.AST) -> Iterator[ast.AST]:
    """Yield ``node`` with one small thing changed."""
    made = copy.deepcopy(node)
    if isinstance(made, ast.Compare) and len(made.ops) == 1:
        made.ops = [_COMPARED[type(made.ops[0])]()]
        yield made
    elif isinstance(made, ast.BinOp) and type(made.op) in _COMPUTED:
        made.op = _COMPUTED[type(made.op)]()
        yield made
    elif isinstance(made, ast.BoolOp):
        made.op = ast.And() if isinstance(made.op, ast.Or) else ast.Or()
        yield made
    elif isinstance(made, ast.UnaryOp) and isinstance(made.op, ast.Not):
        yield made.operand
    elif isinstance(made, ast.IfExp):
        made.body, made.orelse = made.orelse, made.body
        yield made
    elif isinstance(made, ast.Constant) and type(made.value) is int:
        yield ast.Constant(made.value + 1)
    elif isinstance(made, ast.Constant) and type(made.value) is bool:
        yield ast.Constant(not made.value)


def mutants_of(path: Path) -> list[tuple[Mutant, str]]:
    """Return every mutant of one file on a single line, with the text of the file that has it."""
    text = path.read_text(encoding="utf-8")
    lines = text.split("\n")
    found: list[tuple[Mutant, str]] = []
    for node in ast.walk(ast.parse(text)):
        line, end = getattr(node, "lineno", 0), getattr(node, "end_lineno", 0)
        if not line or line != end or not lines[line - 1].isascii():
            continue
        for made in variants(node):
            start, stop = node.col_offset, node.end_col_offset  # type: ignore[attr-defined]
            source = lines[line - 1]
            changed = f"{source[:start]}({ast.unparse(made)}){source[stop:]}"
            mutant = Mutant(path, line, source[start:stop], ast.unparse(made))
            new = "\n".join([*lines[: line - 1], changed, *lines[line:]])
            try:
                ast.parse(new)
            except SyntaxError:
                continue
            found.append((mutant, new))
    return found


def chosen(count: int, seed: int) -> list[tuple[Mutant, str]]:
    """Return ``count`` mutants of different files, files drawn by how many mutants they have."""
    every = {
        path: found
        for folder in FOLDERS
        for path in sorted((ROOT / folder).rglob("*.py"))
        if "studies" not in path.parts and (found := mutants_of(path))
    }
    dice = random.Random(seed)  # noqa: S311 - no secret
    picked: list[tuple[Mutant, str]] = []
    while len(picked) < count:
        path = dice.choices(list(every), [len(found) for found in every.values()])[0]
        picked.append(dice.choice(every.pop(path)))
    return picked


def _module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(("cnn_export", *(parts[1:] if parts[0] == "export" else parts)))


def _lazily(text: str) -> set[str]:
    """Return the modules that a string names; a package's, where a command's name follows it."""
    if not text.endswith("."):
        return {text.partition(":")[0]}
    every = [file for folder in FOLDERS for file in (ROOT / folder).rglob("*.py")]
    return {name for name in map(_module_of, every) if name.startswith(text)}


@functools.cache
def _imports(path: Path) -> frozenset[str]:
    """Return what a file imports; all modules of a package that it lists by ``iter_modules``."""
    names: set[str] = set()
    text = path.read_text(encoding="utf-8")
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.Constant) and str(node.value).startswith("cnn_export."):
            names |= _lazily(str(node.value))
    if "iter_modules(" in text or "{__package__}" in text:
        product = [file for folder in FOLDERS for file in (ROOT / folder).rglob("*.py")]
        names |= {m for m in map(_module_of, product) if m.rpartition(".")[0] in names}
        names |= _lazily(f"{_module_of(path).rpartition('.')[0]}.")
    return frozenset(names)


@functools.cache
def _parameters(path: Path) -> frozenset[str]:
    functions = (
        node
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef)
    )
    return frozenset(each.arg for function in functions for each in function.args.args)


def _fixtures(conftest: Path) -> frozenset[str]:
    return frozenset(
        node.name
        for node in ast.parse(conftest.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef) and node.decorator_list
    )


def _taking_fixtures(tests: list[Path], conftests: list[Path]) -> list[Path]:
    """Return the tests that take what a ``conftest.py`` above them makes: no import says so."""
    return [
        test
        for test in tests
        if any(
            test.is_relative_to(each.parent) and _fixtures(each) & _parameters(test)
            for each in conftests
        )
    ]


def tests_near(path: Path) -> list[list[Path]]:
    """Return test files by how many imports lead from them to ``path``: one, two, and so on.

    A fixture of a ``conftest.py`` that reaches ``path`` leads there as an import does.
    """
    product = [file for folder in FOLDERS for file in (ROOT / folder).rglob("*.py")]
    helpers = [file for file in (ROOT / "tests").rglob("*.py") if not file.name.startswith("test_")]
    tests = sorted((ROOT / "tests").rglob("test_*.py"))
    names, reached, rings = {_module_of(path).removesuffix(".__init__")}, set[Path](), []
    for _ in range(_MOST_STEPS):
        conftests = [
            each for each in helpers if each.name == "conftest.py" and _imports(each) & names
        ]
        taking = set(_taking_fixtures(tests, conftests))
        ring = [
            file
            for file in tests
            if file not in reached and (_imports(file) & names or file in taking)
        ]
        reached |= set(ring)
        rings.append(ring)
        names |= {
            _module_of(file).removesuffix(".__init__") for file in product if _imports(file) & names
        } | {file.stem for file in helpers if _imports(file) & names}
    return rings


def killed_by(path: Path, budget_s: float) -> tuple[str | None, bool]:
    """Return the first test file that fails, and whether all that reach the module were run."""
    deadline = time.monotonic() + budget_s
    for ring in tests_near(path):
        for file in ring:
            left = deadline - time.monotonic()
            if left <= 0:
                return None, False
            command = [sys.executable, "-m", "pytest", "-x", "-q", str(file)]
            try:
                done = subprocess.run(
                    command, cwd=ROOT, capture_output=True, timeout=max(left, 1), check=False
                )
            except subprocess.TimeoutExpired:
                return None, False
            if done.returncode not in (0, 5):
                return str(file.relative_to(ROOT)), True
    return None, True


def main() -> None:
    """Run the mutants one by one; print each one's end, and the survivors at the end."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=40)
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--budget-s", type=float, default=180)
    parser.add_argument("--part", default="0/1", help="every n-th of them: k/n")
    given = parser.parse_args()
    part, parts = map(int, given.part.split("/"))
    alive: list[str] = []
    for mutant, text in chosen(given.count, given.seed)[part::parts]:
        original = mutant.path.read_text(encoding="utf-8")
        try:
            mutant.path.write_text(text, encoding="utf-8")
            killer, whole = killed_by(mutant.path, given.budget_s)
        finally:
            mutant.path.write_text(original, encoding="utf-8")
        end = f"killed by {killer}" if killer else "SURVIVED" if whole else "NOT KILLED IN TIME"
        print(f"{end}: {mutant}", flush=True)  # noqa: T201 - a command
        alive += [str(mutant)] * (killer is None)
    print(f"{len(alive)} left alive:", *alive, sep="\n  ")  # noqa: T201


if __name__ == "__main__":
    main()
