"""What a device may do besides running workers: other tools on artifacts, memory counters."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from cnn_export.benchmarks.devices.contract import Job
from cnn_export.benchmarks.results import record_types

if TYPE_CHECKING:
    from cnn_export.benchmarks.devices.adb.vendor_tools.tool_figures import ToolFigures
    from cnn_export.benchmarks.devices.adb.vendor_tools.tool_registry import ToolBinary


@dataclasses.dataclass(frozen=True)
class TrafficCount:
    """Memory traffic of one inference, or why there is none; as :class:`record_types.Traffic`."""

    inferences: int | None = None
    levels: tuple[record_types.Level, ...] = ()
    reason: str | None = None


@dataclasses.dataclass(frozen=True)
class ToolOpinion:
    """What a tool said, and the device around it."""

    figures: ToolFigures
    conditions: record_types.Conditions


class CrossChecker(Protocol):
    """Runs other tools and counts memory traffic."""

    def require_tool(self, binary: ToolBinary) -> None:
        """Check that a tool's binary can run there.

        Raises:
            InputRefused: it cannot.
        """
        ...

    def opinion(self, binary: ToolBinary, job: Job, inferences: int) -> ToolOpinion:
        """Run a tool once on the job's artifact; ``inferences`` are what fills its time.

        Raises:
            ExportError: the tool failed, or says nothing to believe.
            DeviceUnfit: the device is lost.
        """
        ...

    def traffic(self, job: Job) -> TrafficCount:
        """Count what one inference of the job's artifact moves.

        Raises:
            DeviceUnfit: the device is lost.
        """
        ...


@runtime_checkable
class CrossChecked(Protocol):
    """A device that can."""

    def cross_checker(self) -> CrossChecker:
        """Return what it does besides running workers."""
        ...
