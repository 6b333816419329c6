"""What a tool has to do, what it answered, and what every tool can do with that."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import ClassVar, Protocol

from cnn_export.benchmarks.devices.adb.vendor_tools.tool_figures import ToolFigures
from cnn_export.errors import UsageError


@dataclasses.dataclass(frozen=True)
class ToolJob:
    """One run of a tool. Paths are the phone's.

    ``inferences`` is how many fill the measuring time, for a tool that only counts.
    """

    artifact: str
    result_file: str
    threads: int
    min_time_s: float
    inferences: int
    runtime_args: Mapping[str, str] = dataclasses.field(default_factory=dict[str, str])


@dataclasses.dataclass(frozen=True)
class Answer:
    """What a tool wrote: both outputs as one text, and its result file where it has one."""

    text: str
    result_file: str = ""


class Tool(Protocol):
    """A measuring tool of a runtime."""

    name: ClassVar[str]
    runtime: ClassVar[str]

    def arguments(self, job: ToolJob) -> list[str]:
        """Return its command line, without the program.

        Raises:
            UsageError: it cannot do what a runtime argument asks for.
        """
        ...

    def parse(self, answer: Answer) -> ToolFigures:
        """Return its figures.

        Raises:
            IncompleteRun: there are none, or none to believe.
        """
        ...


def spelled(job: ToolJob, tool: str, spellings: Mapping[tuple[str, str], list[str]]) -> list[str]:
    """Return the tool's words for every runtime argument; a cross-check has to be of the same.

    Raises:
        UsageError: it has no words for one.
    """
    words: list[str] = []
    for key, value in job.runtime_args.items():
        if (key, value) not in spellings:
            raise UsageError(
                f"{tool} has nothing like --runtime-arg {key}={value}; leave one of the two out"
            )
        words += spellings[key, value]
    return words
