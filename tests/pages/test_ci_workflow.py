"""The workflow of the manual: every command in it is one that there is, with options it has."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from cnn_export.benchmarks.cli import command as cnn_bench
from cnn_export.job.cli import command as cnn_export

MANUAL = Path(__file__).parents[2] / "benchmarks" / "README.md"


def workflow() -> str:
    """Return the YAML block under the heading."""
    section = MANUAL.read_text(encoding="utf-8").partition("### In CI")[2]
    found = re.search(r"```yaml\n(.*?)```", section, re.DOTALL)
    assert found
    return found[1]


def commands() -> list[list[str]]:
    """Return the arguments of our commands, with lines that YAML or the shell joins joined."""
    text = workflow().replace("\\\n", " ")
    text = re.sub(r"run: >\n((?: {10}.*\n)+)", lambda m: " ".join(m[1].split()) + "\n", text)
    lines = (line.strip().removeprefix("- ").removeprefix("run: ") for line in text.splitlines())
    ours = (
        line.partition("||")[0] for line in lines if line.startswith(("cnn-bench", "cnn-export"))
    )
    return [shlex.split(line) for line in ours]


def test_the_workflow_exports_runs_gates_and_posts() -> None:
    found = [" ".join(each[:2]) if each[0] == "cnn-bench" else each[0] for each in commands()]
    assert found == [
        *("cnn-export", "cnn-export"),
        *("cnn-bench gate", "cnn-bench run", "cnn-bench gate"),
    ]
    assert workflow().count('--markdown "$GITHUB_STEP_SUMMARY"') == 2


@pytest.mark.parametrize("arguments", commands(), ids=lambda each: " ".join(each[:3]))
def test_its_options_exist(arguments: list[str]) -> None:
    name, *rest = arguments
    group: click.Command = cnn_bench if name == "cnn-bench" else cnn_export
    if isinstance(group, click.Group):
        found = group.get_command(click.Context(group), rest.pop(0))
        assert found is not None
        group = found
    # Parses the options and their values, and runs nothing.
    group.make_context(name, rest)
