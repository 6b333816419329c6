"""``int8-dynamic``: weights in 8 bits, activations rounded to the range that they have at a run."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import torch

from cnn_export.errors import AccuracyRefused, UsageError
from cnn_export.job.int8.record import accuracy, kept_float, sample_set
from cnn_export.job.legalization import Legalized
from cnn_export.manifest.quantization_fields import Accuracy, Quantization, Scale
from cnn_export.program.program import Program
from cnn_export.proof.integer_parity import judge_integers, measure_integers
from cnn_export.proof.parity import OutputParity, Reference
from cnn_export.proof.probes import Probe
from cnn_export.quantization.dynamic.arithmetic import ONNX_DYNAMIC, DynamicNetwork
from cnn_export.quantization.dynamic.limits import dynamic_limits
from cnn_export.quantization.emulation.limits import OutputLimit
from cnn_export.quantization.insertion.quantized_graph import quantized_graph
from cnn_export.quantization.request import AUTOMATIC, QuantizationRequest
from cnn_export.quantization.scheme.options import SchemeOptions
from cnn_export.quantization.stage.quantize import Quantized, quantize
from cnn_export.quantization.stage.samples import read_samples
from cnn_export.reparam.cost import node_macs
from cnn_export.reparam.proof.one_thread import one_thread
from cnn_export.source.source_model import SourceModel
from cnn_export.targets.base import Target
from cnn_export.targets.trial import RunningArtifact

_REASONS = {
    "coreml": "Core ML has no operator that takes a range at run time",
    "tflite": "its hybrid kernels round by formulas that are not emulated here",
    "executorch": "XNNPACK rounds by formulas that are not emulated here",
}


def refuse_dynamic_early(targets: Sequence[Target], batch: int | None) -> None:
    """Refuse a format, or a batch, of which nothing could be proven.

    Raises:
        UsageError: says why, and what to do instead.
    """
    for each in targets:
        if each.name in _REASONS:
            raise UsageError(
                f"--precision int8-dynamic does not apply to {each.name}: {_REASONS[each.name]};"
                " use --precision int8, or export onnx alone"
            )
    if batch != 1:
        raise UsageError(
            "int8-dynamic takes one range over a whole batch, so that samples would change each"
            " other's answers; give --batch 1"
        )


def dynamic_for(
    legalized: Mapping[str, Legalized],
    source: SourceModel,
    request: QuantizationRequest,
    probes: Sequence[Probe],
) -> DynamicRange:
    """Round the weights, and judge what the runtime makes of the samples.

    Raises:
        InputRefused, UsageError: the samples, what is asked of them, or what cannot be proven.
        AccuracyRefused: the rounded network answers otherwise than in float; says what to do.
    """
    program, pixels = next(iter(legalized.values())).program, source.takes_pixels
    samples = read_samples(request, program, source.normalization, pixels=pixels)
    options = SchemeOptions(keep_float=frozenset(request.keep_float) - {AUTOMATIC})
    try:
        with one_thread():
            quantized = quantize(program, request, samples, options, [ONNX_DYNAMIC])
    except AccuracyRefused as error:
        raise AccuracyRefused("; ".join((str(error), *samples.notes))) from error
    limits = dynamic_limits(program.graph_module, quantized.decision)
    return DynamicRange(quantized, program, tuple(probes), tuple(limits))


@dataclasses.dataclass(frozen=True)
class DynamicRange:
    """A decision about weights, whose layers take the range of their input at every run."""

    quantized: Quantized
    network: Program
    probes: tuple[Probe, ...]
    limits: tuple[OutputLimit, ...]

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user should know of the data."""
        return self.quantized.samples.notes

    def program(self, target: Target) -> Program:
        """Return the graph with int8 weights; the target writes the layers that read them."""
        decision = self.quantized.decision
        written = quantized_graph(self.network.graph_module, decision, target.spelling)
        return self.network.with_graph(written)

    def references(self, target: Target) -> list[Reference]:
        """Return what the runtime has to answer, to the last bit."""
        del target
        emulated = DynamicNetwork(self.network.graph_module, self.quantized.decision)
        found: list[Reference] = []
        for probe in self.probes:
            with torch.no_grad():
                values = emulated.run(*map(torch.from_numpy, probe.inputs.values()))
            names = [spec.name for spec in self.network.outputs]
            outputs = {name: value.numpy() for name, value in zip(names, values, strict=True)}
            found.append(Reference(probe, outputs, dict.fromkeys(outputs, 0.0), "int8"))
        return found

    def figures(
        self,
        target: Target,
        artifact: RunningArtifact,
        expected: Sequence[Reference],
        accepted: float | None,
    ) -> list[OutputParity]:
        """Compare the artifact with its emulation, and judge.

        Raises:
            ParityError: they differ by more than the graph leaves open.
        """
        del accepted  # integers must be equal
        program = artifact.program
        names = [spec.name for spec in program.outputs]
        limits = dict(zip(names, self.limits, strict=True))
        found = measure_integers(artifact.session, program, artifact.layout, expected, limits)
        judge_integers(found, target.name)
        return [each.figure() for each in found]

    def scales(self) -> dict[str, Scale]:
        """Return none: inputs and outputs are floats."""
        return {}

    def record(self, target: Target) -> Quantization:
        """Return what the manifest says of the decision, but for its accuracy."""
        del target
        decision = self.quantized.decision
        nodes = {node.name: node for node in self.network.graph_module.graph.nodes}
        return Quantization(
            arithmetic=ONNX_DYNAMIC.name,
            evaluation=sample_set(self.quantized.evaluation.record),
            int8_layers=len(decision.weights),
            int8_macs=sum(node_macs(nodes[name]) for name in decision.weights),
            kept_float=kept_float(decision),
            accuracy=[],
        )

    def accuracy(self, target: Target, artifact: RunningArtifact) -> list[Accuracy]:
        """Return how the emulation answered; the artifact was proven equal to it."""
        del target, artifact
        (judged,) = self.quantized.judged
        return accuracy(judged)
