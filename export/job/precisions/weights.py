"""``int8-weights``: weights as 8-bit integers, everything else in float32."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

from torch import nn

from cnn_export.errors import AccuracyRefused, UsageError
from cnn_export.job.int8.record import accuracy, kept_float, sample_set
from cnn_export.job.legalization import Legalized
from cnn_export.manifest.quantization_fields import Accuracy, Quantization, Scale
from cnn_export.program.program import Program
from cnn_export.proof.parity import OutputParity, Reference, judge, measure, references
from cnn_export.proof.probes import Probe
from cnn_export.proof.tolerances import TOLERANCES
from cnn_export.quantization.emulation.core_ml import CORE_ML
from cnn_export.quantization.finetuning.recorded_decision import recorded_decision
from cnn_export.quantization.insertion.quantized_graph import quantized_graph
from cnn_export.quantization.request import AUTOMATIC, QuantizationRequest
from cnn_export.quantization.scheme.options import SchemeOptions
from cnn_export.quantization.spelling import Spelling
from cnn_export.quantization.stage.batching import batched
from cnn_export.quantization.stage.quantize import Quantized, quantize
from cnn_export.quantization.stage.samples import read_samples
from cnn_export.reparam.proof.one_thread import one_thread
from cnn_export.source.source_model import SourceModel
from cnn_export.targets.base import Target
from cnn_export.targets.trial import RunningArtifact

FLOAT32 = dataclasses.replace(CORE_ML, name="float32")
"""All operators in float32; which runtime's makes a difference in the last digits only."""

ROUNDED = Spelling(weights="rounded")

_ONNX_NOTE = (
    "onnx: a file of int8 weights is smaller, not faster: ONNX Runtime widens the weights again at"
    " every inference"
)


def refuse_weights_early(targets: Sequence[Target]) -> None:
    """Refuse a format whose runtime cannot read such weights.

    Raises:
        UsageError: says why, and what to do instead.
    """
    if "executorch" in [each.name for each in targets]:
        raise UsageError(
            "executorch 1.4: XNNPACK takes no layer whose weights are widened at run time; they"
            " would run on portable kernels, from a kernel library that the runtime here does not"
            " load; use --precision int8 for executorch, or export the other formats alone"
        )


def weights_for(
    legalized: Mapping[str, Legalized],
    source: SourceModel,
    request: QuantizationRequest,
    probes: Sequence[Probe],
    network: Path | nn.Module,
) -> RoundedWeights:
    """Round the weights of each target's network, and judge each on the samples.

    ``network`` is what the job was given: an int8 decision recorded in it is not used, and said so.

    Raises:
        InputRefused, UsageError: the samples, or what is asked of them.
        AccuracyRefused: the rounded network answers otherwise than in float; says what to do.
    """
    one = next(iter(legalized.values())).program
    _, batch = batched(one)
    pixels = source.takes_pixels
    samples = read_samples(request, one, source.normalization, pixels=pixels, batch=batch)
    options = SchemeOptions(keep_float=frozenset(request.keep_float) - {AUTOMATIC})

    def made(program: Program) -> Quantized:
        wide, size = batched(program)
        # Another format's graph may fix the batch: judged one by one then.
        given = samples if size == batch else samples.in_batches(size)
        return quantize(wide, request, given, options, [FLOAT32])

    try:
        with one_thread():
            each_program = {id(each.program): each.program for each in legalized.values()}
            quantized = {at: made(program) for at, program in each_program.items()}
    except AccuracyRefused as error:
        raise AccuracyRefused("; ".join((str(error), *samples.notes))) from error
    return RoundedWeights(
        {name: quantized[id(each.program)] for name, each in legalized.items()},
        {name: each.program for name, each in legalized.items()},
        tuple(probes),
        _unused_decision(network),
    )


def _unused_decision(network: Path | nn.Module) -> tuple[str, ...]:
    if not isinstance(network, Path) or recorded_decision(network) is None:
        return ()
    return (
        f"{network.name} was fine-tuned for an int8 decision that it holds: int8 weights alone do"
        " not use it; --precision int8 does",
    )


@dataclasses.dataclass(frozen=True)
class RoundedWeights:
    """A decision about weights per target: legalizations may arrange them in another way.

    ``networks`` are the float programs that the decisions are about, by target as well. ``unused``
    says which decision of the checkpoint's was not taken.
    """

    decided: Mapping[str, Quantized]
    networks: Mapping[str, Program]
    probes: tuple[Probe, ...]
    unused: tuple[str, ...] = ()

    @property
    def quantized(self) -> Quantized:
        """One of the decisions, to show."""
        return next(iter(self.decided.values()))

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user should know of the data, and of what stays float."""
        chosen = {
            f"weights kept float to meet the accuracy bounds: {', '.join(each.chosen.names)}"
            f" ({each.chosen.bytes_share:.1%} of the weights)"
            for each in self.decided.values()
            if each.chosen is not None
        }
        slow = (_ONNX_NOTE,) if "onnx" in self.decided else ()
        return (*self.quantized.samples.notes, *sorted(chosen), *slow, *self.unused)

    def program(self, target: Target) -> Program:
        """Return the graph in the target's spelling."""
        return self._written(target, target.spelling)

    def references(self, target: Target) -> list[Reference]:
        """Return what the network answers in float64 with the numbers that its integers mean."""
        program = self._written(target, ROUNDED)
        return references(program.graph_module, self.probes, program.outputs)

    def figures(
        self,
        target: Target,
        artifact: RunningArtifact,
        expected: Sequence[Reference],
        accepted: float | None,
    ) -> list[OutputParity]:
        """Compare the artifact with the rounded network, and judge as float32 is judged.

        Raises:
            ParityError: it computes something else.
        """
        tolerance = TOLERANCES[target.name, "int8-weights"]
        figures = measure(artifact.session, artifact.program, artifact.layout, expected, tolerance)
        judge(figures, target.name, accepted=accepted)
        return figures

    def scales(self) -> dict[str, Scale]:
        """Return none: inputs and outputs are floats."""
        return {}

    def record(self, target: Target) -> Quantization:
        """Return what the manifest says of the decision, but for its accuracy."""
        quantized = self.decided[target.name]
        return Quantization(
            arithmetic=FLOAT32.name,
            evaluation=sample_set(quantized.evaluation.record),
            int8_layers=len(quantized.decision.weights),
            int8_macs=0,
            kept_float=kept_float(quantized.decision),
            accuracy=[],
        )

    def accuracy(self, target: Target, artifact: RunningArtifact) -> list[Accuracy]:
        """Return how the rounded network answered; the artifact was proven equal to it."""
        del artifact
        (judged,) = self.decided[target.name].judged
        return accuracy(judged)

    def _written(self, target: Target, spelling: Spelling) -> Program:
        network = self.networks[target.name]
        decision = self.decided[target.name].decision
        return network.with_graph(quantized_graph(network.graph_module, decision, spelling))
