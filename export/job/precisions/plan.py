"""What the steps of a job ask of a precision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from cnn_export.manifest.quantization_fields import Accuracy, Quantization, Scale
from cnn_export.program.program import Program
from cnn_export.proof.parity import OutputParity, Reference
from cnn_export.quantization.stage.quantize import Quantized
from cnn_export.targets.base import Target
from cnn_export.targets.trial import RunningArtifact


class Plan(Protocol):
    """One precision of one job, for all its targets."""

    @property
    def quantized(self) -> Quantized | None:
        """What was decided about integers; ``None``: nothing."""
        ...

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user should know of it, a sentence each."""
        ...

    def program(self, target: Target) -> Program:
        """Return the network as the target's converter takes it."""
        ...

    def references(self, target: Target) -> list[Reference]:
        """Return what the target's artifact has to answer."""
        ...

    def figures(
        self,
        target: Target,
        artifact: RunningArtifact,
        expected: Sequence[Reference],
        accepted: float | None,
    ) -> list[OutputParity]:
        """Run the artifact on the references' probes and judge what it answers.

        ``accepted`` is the error of floats, over an output's RMS, that the user accepts unproven.

        Raises:
            ParityError: it computes something else.
        """
        ...

    def scales(self) -> Mapping[str, Scale]:
        """Return the scale of each integer input and output."""
        ...

    def record(self, target: Target) -> Quantization | None:
        """Return what the manifest says of the precision, but for its accuracy."""
        ...

    def accuracy(self, target: Target, artifact: RunningArtifact) -> list[Accuracy]:
        """Return how the held-back samples are answered.

        Raises:
            AccuracyRefused: not well enough.
        """
        ...
