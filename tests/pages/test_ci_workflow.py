"""The workflow of the manual: every command in it is one that there is, with options it has."""

from __future__ import annotations

import re

import pytest
from page_options import check_options
from pages import ROOT

MANUAL = ROOT / "benchmarks" / "README.md"


def workflow() -> str:
    """Return the YAML block under the heading."""
    section = MANUAL.read_text(encoding="utf-8").partition("### In CI")[2]
    found = re.search(r"```yaml\n(.*?)```", section, re.DOTALL)
    assert found
    return found[1]


def commands() -> list[str]:
    """Return our commands, with lines that YAML or the shell joins joined."""
    text = workflow().replace("\\\n", " ")
    text = re.sub(r"run: >\n((?: {10}.*\n)+)", lambda m: " ".join(m[1].split()) + "\n", text)
    lines = (line.strip().removeprefix("- ").removeprefix("run: ") for line in text.splitlines())
    return [
        line.partition("||")[0].strip()
        for line in lines
        if line.startswith(("cnn-bench", "cnn-export"))
    ]


def test_the_workflow_exports_runs_gates_and_posts() -> None:
    found = [re.match(r"cnn-export|cnn-bench \w+", each) for each in commands()]
    assert [each and each[0] for each in found] == [
        *("cnn-export", "cnn-export"),
        *("cnn-bench gate", "cnn-bench run", "cnn-bench gate"),
    ]
    assert workflow().count('--markdown "$GITHUB_STEP_SUMMARY"') == 2


@pytest.mark.parametrize("text", commands())
def test_its_options_exist(text: str) -> None:
    check_options(text)
