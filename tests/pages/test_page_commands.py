"""Every command of the benchmarks' pages runs, or is marked; on every page its options exist."""

from __future__ import annotations

import os
import re

import click
import pytest
from page_options import check_options
from page_runs import Place
from pages import NEEDS_A_PHONE, TAKES_MINUTES, Command, commands, pages
from phone.adb_server import AdbServer

RUN = ("benchmarks/README.md", "benchmarks/statistics/README.md", "benchmarks/cost/README.md")
_FOR_A_PHONE = re.compile(r"--device (?:adb|all)|--runner")


@pytest.mark.parametrize("page", pages())
def test_options_exist(page: str) -> None:
    for command in commands(page):
        check_options(command.text)


@pytest.mark.parametrize("page", RUN)
def test_commands_run(page: str, place: Place, adb_server: AdbServer) -> None:
    """From the top to the bottom, as a reader does; ``devices`` asks a server of the test's own."""
    for command in commands(page):
        if _is_run(command):
            compare(command, place.run(command))


def _is_run(command: Command) -> bool:
    if command.remark.startswith(TAKES_MINUTES):
        return os.environ.get("CNN_EXPORT_THOROUGH") == "1"
    return not command.remark.startswith(NEEDS_A_PHONE)


def compare(command: Command, output: str) -> None:
    """Compare what is the same everywhere: figures of files, else the tables' headings."""
    shown = [" ".join(line.split()) for line in command.output.splitlines()]
    found = [" ".join(line.split()) for line in output.splitlines()]
    if not command.text.startswith("cnn-bench cost"):
        shown = [line for line in shown if re.match(r"(artifact|file|operator|noise) ", line)]
    assert [line for line in shown if line and line not in found] == [], output


@pytest.mark.parametrize("page", RUN)
def test_what_needs_a_phone_is_marked(page: str) -> None:
    for command in commands(page):
        marked = command.remark.startswith(NEEDS_A_PHONE)
        assert marked == bool(_FOR_A_PHONE.search(command.text)), command.text


def test_pages_show_commands() -> None:
    assert len([each for page in RUN for each in commands(page) if _is_run(each)]) >= 20


@pytest.mark.parametrize(
    "text",
    ["cnn-bench cots x.onnx", "cnn-bench run x.onnx --repeat 3", "cnn-export x.pt --tagret onnx",
     "make tea", "pip install 'cnn-export[tea]'", "python -m cnn_export.benchmarks.studies.tea"],
)  # fmt: skip
def test_a_command_that_is_none_is_found(text: str) -> None:
    with pytest.raises((click.UsageError, AssertionError, ImportError)):
        check_options(text)


def test_output_that_is_not_the_page_s_is_found() -> None:
    with pytest.raises(AssertionError):
        compare(Command("cnn-bench cost x.onnx", "", "x.onnx 1 2\n"), "x.onnx 1 3\n")
    with pytest.raises(AssertionError):
        compare(Command("cnn-bench run x.onnx", "", "artifact threads\n"), "artifact cores\n")
