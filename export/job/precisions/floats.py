"""``fp32`` and ``fp16``: what the checkpoint answers is what the artifact has to answer."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from cnn_export.job.int8.record import accuracy, sample_set
from cnn_export.job.legalization import Legalized
from cnn_export.manifest.quantization_fields import Accuracy, Quantization, Scale
from cnn_export.program.layout import from_artifact, to_artifact
from cnn_export.program.program import Program
from cnn_export.program.tensors import Precision, Tensors
from cnn_export.proof.parity import OutputParity, Reference, judge, measure
from cnn_export.proof.tolerances import TOLERANCES
from cnn_export.quantization.accuracy.measurement import answers
from cnn_export.quantization.accuracy.measurement import measure as measure_accuracy
from cnn_export.quantization.accuracy.refusal import require_accuracy
from cnn_export.quantization.accuracy.verdict import judge as judge_accuracy
from cnn_export.quantization.stage.networks import float_network
from cnn_export.quantization.stage.quantizer import Judged
from cnn_export.quantization.stage.samples import Samples
from cnn_export.reparam.proof.one_thread import one_thread
from cnn_export.targets.base import Target
from cnn_export.targets.trial import RunningArtifact

_WAY = "; use --precision fp32"


@dataclasses.dataclass(frozen=True)
class Floats:
    """The legalized networks as they are; ``gate`` judges artifacts on samples, where there are."""

    legalized: Mapping[str, Legalized]
    expected: list[Reference]
    precision: Precision
    gate: ArtifactGate | None = None
    quantized: None = None

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user should know of the samples."""
        return () if self.gate is None else self.gate.samples.notes

    def program(self, target: Target) -> Program:
        """Return the network as the target's converter takes it."""
        return self.legalized[target.name].program

    def references(self, target: Target) -> list[Reference]:
        """Return what the checkpoint answers."""
        del target
        return self.expected

    def figures(
        self,
        target: Target,
        artifact: RunningArtifact,
        expected: Sequence[Reference],
        accepted: float | None,
    ) -> list[OutputParity]:
        """Compare the artifact with the checkpoint, and judge.

        Raises:
            ParityError: it computes something else.
        """
        tolerance = TOLERANCES[target.name, self.precision]
        figures = measure(artifact.session, artifact.program, artifact.layout, expected, tolerance)
        judge(figures, target.name, self.precision, accepted)
        return figures

    def scales(self) -> dict[str, Scale]:
        """Return none: inputs and outputs are floats."""
        return {}

    def record(self, target: Target) -> Quantization | None:
        """Return which samples judge the artifact; ``None`` where none do."""
        return None if self.gate is None else self.gate.record(target)

    def accuracy(self, target: Target, artifact: RunningArtifact) -> list[Accuracy]:
        """Judge the artifact on the samples, where there are any.

        Raises:
            AccuracyRefused: below a bound.
        """
        return [] if self.gate is None else self.gate.judged(target, artifact)


@dataclasses.dataclass(frozen=True)
class ArtifactGate:
    """Judges what an artifact itself answers in its runtime, beside ``network`` in float32."""

    network: Program
    samples: Samples
    what: str
    way: str = _WAY

    def record(self, target: Target) -> Quantization:
        """Return which samples judge."""
        return Quantization(
            arithmetic=target.runtime,
            evaluation=sample_set(self.samples.parts.held_back.record),
            int8_layers=0,
            int8_macs=0,
            kept_float=[],
            accuracy=[],
        )

    def judged(self, target: Target, artifact: RunningArtifact) -> list[Accuracy]:
        """Run every sample and return the figures, with bounds unless the samples are synthetic.

        Raises:
            AccuracyRefused: below a bound.
        """
        program, evaluation = self.network, self.samples.evaluation

        def run(inputs: Tensors) -> Tensors:
            results = artifact.session(to_artifact(inputs, program.inputs, artifact.layout))
            return from_artifact(results, program.outputs, artifact.layout)

        with one_thread():
            pairs = answers(float_network(program), run, evaluation.data.batches())
            figures = measure_accuracy(pairs, labels=evaluation.labels)
        verdicts = judge_accuracy(figures) if self.samples.judged else ()
        require_accuracy(verdicts, what=f"{target.name}: {self.what}", way=self.way)
        return accuracy(Judged(target.runtime, figures, verdicts))
