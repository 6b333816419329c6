"""What a job is asked to do, and what it gives back. Values only; the pipeline does the work."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from cnn_export.manifest.fields import Approximation
from cnn_export.manifest.manifest import Manifest
from cnn_export.targets.options import TargetOptions

if TYPE_CHECKING:
    from torch import Tensor, nn

    from cnn_export.reparam import Report

Step = Callable[[str], contextlib.AbstractContextManager[None]]
"""Called with a step's name; the returned context spans the step. For progress displays."""


def silent_step(name: str) -> contextlib.AbstractContextManager[None]:
    """Show nothing."""
    del name
    return contextlib.nullcontext()


@dataclasses.dataclass(frozen=True)
class ExportRequest:
    """One job: a checkpoint (or module), its inputs, and the formats wanted.

    ``source`` is a checkpoint path or a module. ``input_size`` is (height, width); ``shapes``
    gives full shapes by input name instead, and ``examples`` real tensors. ``batch`` of None is
    the dynamic batch. ``samples`` are files that join the parity probes. ``normalize`` makes the
    artifact take raw pixels and normalize them itself. ``weights_key`` leads to the tensors in the
    file, where it holds several sets of them.
    ``identity_tensor_multiplier`` states what the network was trained with, or, with
    ``approximate``, what it shall have instead.
    """

    source: Path | nn.Module
    targets: tuple[str, ...]
    output: Path | None = None
    model: str | None = None
    model_args: Mapping[str, str] = dataclasses.field(default_factory=dict[str, str])
    weights_key: str | None = None
    allow_pickle: bool = False
    input_size: tuple[int, int] | None = None
    shapes: Mapping[str, tuple[int, ...]] = dataclasses.field(
        default_factory=dict[str, tuple[int, ...]]
    )
    examples: tuple[Tensor, ...] | None = None
    batch: int | None = 1
    samples: tuple[Path, ...] = ()
    normalize: str | None = None
    identity_tensor_multiplier: Fraction | None = None
    approximate: bool = False
    reparam: bool = True
    dry_run: bool = False
    options: TargetOptions = dataclasses.field(default_factory=TargetOptions)


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
    compute another function than the checkpoint. ``report`` tells of the passes that all targets
    share, ``forms`` per target of its own; both are empty where the stage was switched off.
    """

    artifacts: tuple[Artifact, ...]
    report: Report | None
    notes: tuple[str, ...]
    refusals: Mapping[str, tuple[str, ...]]
    approximation: Approximation | None = None
    forms: Mapping[str, Report] = dataclasses.field(default_factory=dict[str, "Report"])

    @property
    def artifact(self) -> Artifact:
        """The artifact of a job with one target."""
        (only,) = self.artifacts
        return only
