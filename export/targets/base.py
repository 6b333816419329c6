"""The contract every format fulfils, and the values that cross it.

The pipeline knows only :class:`Target`. Vendor packages are imported inside the calls, so that
listing targets costs nothing and a missing package is a clear :class:`TargetUnavailable`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Protocol, get_args

import numpy.typing as npt

from cnn_export.artifact_files.partition_report import PartitionReport
from cnn_export.errors import UsageError
from cnn_export.program.program import Program
from cnn_export.targets.forms import Form

Array = npt.NDArray[Any]
Tensors = dict[str, Array]
"""Values by input or output name, in the program's order."""

Precision = Literal["fp32", "fp16"]
Layout = Literal["nchw", "nhwc"]


@dataclasses.dataclass(frozen=True)
class TargetOptions:
    """What a user may ask of a target. A target refuses what it cannot honour."""

    precision: Precision = "fp32"
    layout: Layout = "nchw"
    opset: int | None = None
    ir_version: int | None = None
    minimum_deployment_target: str | None = None
    image_input: bool = False
    metadata: Mapping[str, str] = dataclasses.field(default_factory=dict[str, str])
    """String pairs embedded in the artifact."""

    def __post_init__(self) -> None:
        """Refuse a precision or layout that does not exist.

        Raises:
            UsageError: names the value and the choices.
        """
        for option, known in (("precision", get_args(Precision)), ("layout", get_args(Layout))):
            value = getattr(self, option)
            if value not in known:
                raise UsageError(f"{option} {value!r} does not exist; choose {' or '.join(known)}")


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


class Session(Protocol):
    """A loaded artifact."""

    def __call__(self, inputs: Tensors) -> Tensors:
        """Run once. Arrays use the artifact's own layout and dtype."""
        ...


class Target(Protocol):
    """One artifact format."""

    name: str
    """Name on the command line, also the extra that installs it."""
    suffix: str
    """File name ending, with the dot."""
    runtime: str
    """What :meth:`load` executes the artifact with, e.g. ``onnxruntime``."""
    form: Form
    """Passes that give the proven network this format's spelling, see :mod:`.forms`."""

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
