"""What a job is asked to do, and what it gives back. Values only; the pipeline does the work."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from cnn_export.manifest.fields import Approximation
from cnn_export.manifest.manifest import Manifest
from cnn_export.quantization.request import QuantizationRequest
from cnn_export.source.request import SourceRequest
from cnn_export.targets.options import TargetOptions

if TYPE_CHECKING:
    from cnn_export.quantization.stage.quantize import Quantized
    from cnn_export.reparam import Report

Step = Callable[[str], contextlib.AbstractContextManager[None]]
"""Called with a step's name; the returned context spans the step. For progress displays."""


def silent_step(name: str) -> contextlib.AbstractContextManager[None]:
    """Show nothing."""
    del name
    return contextlib.nullcontext()


@dataclasses.dataclass(frozen=True)
class ExportRequest:
    """One job: a source, the formats wanted, and how they are made.

    ``samples`` are files that join the parity probes; ``quantization`` is for
    what rounds numbers to fewer bits; ``tolerance`` is the error over an output's RMS that is
    accepted where less cannot be proven.
    """

    source: SourceRequest
    targets: tuple[str, ...]
    output: Path | None = None
    samples: tuple[Path, ...] = ()
    reparam: bool = True
    dry_run: bool = False
    options: TargetOptions = dataclasses.field(default_factory=TargetOptions)
    quantization: QuantizationRequest | None = None
    tolerance: float | None = None


@dataclasses.dataclass(frozen=True)
class Artifact:
    """A verified file on disk. ``path`` is a folder for Core ML packages."""

    path: Path
    manifest_path: Path
    manifest: Manifest


@dataclasses.dataclass(frozen=True)
class ExportResult:
    """Everything a job gives back. ``artifacts`` is empty on a dry run.

    ``refusals`` names, per target, operators without a lowering (filled on a dry run only; a real
    run ends with an error instead). ``approximation`` is set where the artifacts were asked to
    compute another function than the checkpoint. ``normalization`` is set where they take raw
    pixels and normalize them. ``report`` tells of the passes that all targets
    share, ``forms`` per target of its legalization: without the stage, only of what it needs.
    ``quantized`` is the decision of an int8 job.
    """

    artifacts: tuple[Artifact, ...]
    report: Report | None
    notes: tuple[str, ...]
    refusals: Mapping[str, tuple[str, ...]]
    approximation: Approximation | None = None
    forms: Mapping[str, Report] = dataclasses.field(default_factory=dict[str, "Report"])
    normalization: Report | None = None
    quantized: Quantized | None = None

    @property
    def artifact(self) -> Artifact:
        """The artifact of a job with one target."""
        (only,) = self.artifacts
        return only
