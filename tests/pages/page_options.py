"""Whether the commands that pages show exist, with options that they have; nothing is run."""

from __future__ import annotations

import copy
import importlib
import re
import shlex

import click
from pages import ROOT

from cnn_export.benchmarks.cli import command as cnn_bench
from cnn_export.job.cli import command as cnn_export


def check_options(text: str) -> None:
    """Parse a command's options and their values.

    Raises:
        click.UsageError: an option or a value that there is not.
        AssertionError: a target of the Makefile, or an extra of the package, that there is not.
        ImportError: a module that there is not.
    """
    name, *rest = shlex.split(text.partition(" > ")[0])
    if name == "make":
        assert re.search(rf"^{rest[0]}:", (ROOT / "Makefile").read_text(), re.MULTILINE), text
    elif name == "pip":
        declared = (ROOT / "pyproject.toml").read_text()
        for extra in re.findall(r"[\w-]+", rest[1].partition("[")[2]):
            assert re.search(rf"^{extra} = \[", declared, re.MULTILINE), text
    else:
        _parse(name, rest)


def _parse(name: str, rest: list[str]) -> None:
    found: object = {"cnn-bench": cnn_bench, "cnn-export": cnn_export}.get(name)
    if name == "python":
        module = importlib.import_module(rest[1])
        found, rest = getattr(module, "command", None) or getattr(module, "main", None), rest[2:]
        assert callable(found), f"{module.__name__} is no command"
    if isinstance(found, click.Group):
        context = click.Context(found)
        known = found.get_command(context, rest[0])
        assert known is not None, f"{name} has no {rest[0]}"
        found, rest = known, rest[1:]
    if isinstance(found, click.Command):
        _without_files(found).make_context(name, rest)


def _without_files(command: click.Command) -> click.Command:
    """Return a copy that takes paths that are not there."""
    changed = copy.copy(command)
    changed.params = [copy.copy(each) for each in command.params]
    for each in changed.params:
        if isinstance(each.type, click.Path):
            each.type = click.Path(path_type=each.type.type)
    return changed
