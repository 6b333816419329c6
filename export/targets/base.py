"""The contract every format fulfils, and the values that cross it.

The pipeline knows only :class:`Target`. Vendor packages are imported inside the calls, so that
listing targets costs nothing and a missing package is a clear ``TargetUnavailable``.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Protocol

from cnn_export.artifact_files.partition_report import PartitionReport
from cnn_export.program.program import Program
from cnn_export.program.tensors import Session
from cnn_export.quantization.spelling import Spelling
from cnn_export.targets.legalizations import Legalization
from cnn_export.targets.options import TargetOptions


@dataclasses.dataclass(frozen=True)
class OpRefusal:
    """An operator that a target cannot lower, with the source line where it is known."""

    op: str
    node: str
    reason: str
    source: str | None = None

    def __str__(self) -> str:
        where = f" at {self.source}" if self.source else ""
        return f"{self.op} (node {self.node}{where}): {self.reason}"


class Target(Protocol):
    """One artifact format."""

    name: str
    """Name on the command line, also the extra that installs it."""
    suffix: str
    """File name ending, with the dot."""
    runtime: str
    """What :meth:`load` executes the artifact with, e.g. ``onnxruntime``."""
    legalization: Legalization
    """Passes that give the proven network the form this format takes, see :mod:`.legalizations`."""
    spelling: Spelling
    """How an int8 decision is written into the graph that :meth:`export` takes."""

    def versions(self) -> dict[str, str]:
        """Return the vendor packages' versions.

        Raises:
            TargetUnavailable: a package is missing; holds the install line.
        """
        ...

    def refuse_options(self, options: TargetOptions) -> None:
        """Raise :class:`~cnn_export.errors.UsageError` for an option this format lacks."""
        ...

    def refusals(self, program: Program, options: TargetOptions) -> list[OpRefusal]:
        """Return every operator that cannot be lowered, without converting."""
        ...

    def export(self, program: Program, options: TargetOptions, path: Path) -> None:
        """Write the artifact to ``path``, a fresh path in a private folder. Same bytes each time.

        ``program`` is legalized, for ``options.precision`` as well.

        Raises:
            OperatorRefused: the vendor's converter refused an operator after all.
        """
        ...

    def load(self, path: Path) -> Session:
        """Load the written artifact in the runtime named by :attr:`runtime`."""
        ...

    def partitions(self, path: Path) -> PartitionReport:
        """Read from the artifact how it splits between delegate and runtime."""
        ...
