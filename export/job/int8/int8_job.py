"""What ``--precision int8`` adds to a job: one decision, each target's spelling, its references."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import nn

from cnn_export.errors import AccuracyRefused, InputRefused, UsageError
from cnn_export.job.int8.record import accuracy, kept_float, sample_set
from cnn_export.manifest.quantization_fields import Accuracy, Quantization, Scale
from cnn_export.program.program import Program
from cnn_export.program.tensors import Layout, Session
from cnn_export.proof.integer_parity import judge_integers, measure_integers
from cnn_export.proof.parity import OutputParity, Reference
from cnn_export.proof.probes import Probe, manifest_probe
from cnn_export.quantization.decision import INT8_MIN, Decision, TensorScale
from cnn_export.quantization.emulation.arithmetic import Arithmetic
from cnn_export.quantization.emulation.core_ml import CORE_ML
from cnn_export.quantization.emulation.emulate import Emulation
from cnn_export.quantization.emulation.executorch import EXECUTORCH
from cnn_export.quantization.emulation.host import SATURATION_WARNING, onnx_runtime_here
from cnn_export.quantization.emulation.limits import OutputLimit, output_limits
from cnn_export.quantization.emulation.onnx_runtime import ONNX_RUNTIME_WITHOUT_VNNI
from cnn_export.quantization.emulation.xnnpack import XNNPACK
from cnn_export.quantization.finetuning.recorded_decision import recorded_decision
from cnn_export.quantization.request import AUTOMATIC, QuantizationRequest
from cnn_export.quantization.scheme.options import SchemeOptions, parse_ranges
from cnn_export.quantization.spelling import Border, Spelling
from cnn_export.quantization.stage.batching import batched
from cnn_export.quantization.stage.border_program import (
    border_scales,
    integers,
    spelled_program,
)
from cnn_export.quantization.stage.quantize import Quantized, quantize
from cnn_export.quantization.stage.quantizer import Judged
from cnn_export.quantization.stage.samples import read_samples
from cnn_export.reparam.cost import node_macs
from cnn_export.reparam.proof.one_thread import one_thread
from cnn_export.source.source_model import SourceModel
from cnn_export.targets.base import Target

ARITHMETICS: dict[str, Arithmetic] = {
    "tflite": XNNPACK,
    "executorch": EXECUTORCH,
    "onnx": onnx_runtime_here(),
    "coreml": CORE_ML,
}
"""Target → what its runtime computes in on this machine."""

_PROVEN_SAMPLES = 4
"""Held-back samples among the probes: noise leaves the ranges that data keeps to."""


def refuse_early(
    request: QuantizationRequest, targets: Sequence[Target], *, dynamic_batch: bool
) -> None:
    """Refuse what a format cannot do in int8, before anything is read.

    Raises:
        UsageError: says what to do instead.
    """
    names = [each.name for each in targets]
    if "coreml" in names and request.border != "float":
        raise UsageError(
            f"--io {request.border} does not apply to coreml, whose inputs and outputs are float;"
            " export it in a job of its own"
        )
    if "executorch" in names and dynamic_batch:
        raise UsageError(
            "executorch 1.4 crashes on large batches of an int8 network with a dynamic batch; give"
            " --batch N, or export the other formats alone"
        )


def quantized_for(
    targets: Sequence[Target],
    program: Program,
    source: SourceModel,
    request: QuantizationRequest,
    recorded: Decision | None,
    probes: Sequence[Probe],
) -> Int8:
    """Read the samples, decide once for all targets (or take what is ``recorded``), and judge.

    Raises:
        InputRefused, UsageError: the samples, or what is asked of them.
        AccuracyRefused: int8 answers otherwise than float; says what to do.
    """
    wide, batch = batched(program)
    pixels = source.takes_pixels
    samples = read_samples(request, program, source.normalization, pixels=pixels, batch=batch)
    named = {ARITHMETICS[each.name].name: ARITHMETICS[each.name] for each in targets}
    options = _scheme(program, source, request)
    try:
        with one_thread():
            border = _pixels(program, source, request.border)
            quantized = quantize(
                wide, request, samples, options, list(named.values()), recorded, border
            )
    except AccuracyRefused as error:
        said = "; ".join((str(error), *samples.notes))
        raise AccuracyRefused(said) from error
    _refuse_float_border(program, quantized.decision, request.border)
    return Int8(quantized, program, request, tuple(probes))


def _pixels(program: Program, source: SourceModel, border: Border) -> dict[str, TensorScale]:
    """Return the scale of pixels that come in as integers: a step of 1 loses none of them."""
    if border == "float" or not source.takes_pixels:
        return {}
    inputs = program.graph_module.graph.find_nodes(op="placeholder")
    return {node.name: TensorScale(1.0, INT8_MIN, "pixels, 0 to 255") for node in inputs}


def _refuse_float_border(program: Program, decision: Decision, border: Border) -> None:
    """Refuse a border of integers where a floating input or output has none."""
    held = border_scales(program, decision, border)
    specs = (*program.inputs, *program.outputs)
    left = [each.name for each in specs if each.dtype.is_floating_point and each.name not in held]
    if border != "float" and left:
        raise UsageError(
            f"--io {border}: {', '.join(map(repr, left))} would stay float, as what computes or"
            " reads it is; use --io float (--explain says what stays float)"
        )


def recorded_for(
    network: Path | nn.Module, program: Program, request: QuantizationRequest
) -> Decision | None:
    """Return the decision that a checkpoint was fine-tuned for, where it holds one.

    Raises:
        UsageError: ranges or float layers are asked for as well.
        InputRefused: it is damaged, or about another graph than the checkpoint's.
    """
    found = recorded_decision(network) if isinstance(network, Path) else None
    if found is None:
        return None
    if request.ranges or request.keep_float:
        raise UsageError(
            "the checkpoint was fine-tuned for the int8 decision that it holds; drop --ranges and"
            " --keep-float"
        )
    known = {node.name for node in program.graph_module.graph.nodes}
    if missing := sorted((found.tensors.keys() | found.weights.keys()) - known):
        raise InputRefused(
            f"the int8 decision in {network.name} is about {missing[0]!r}, which its network has"
            " not; save it again from the module that prepare() returned"
        )
    return found


def _scheme(program: Program, source: SourceModel, request: QuantizationRequest) -> SchemeOptions:
    """Return how ranges are chosen; of pixels they are known, whatever the samples hold."""
    pixels = program.graph_module.graph.find_nodes(op="placeholder") if source.takes_pixels else ()
    return dataclasses.replace(
        parse_ranges(request.ranges),
        keep_float=frozenset(request.keep_float) - {AUTOMATIC},
        known_ranges={node.name: (0.0, 255.0) for node in pixels},
    )


@dataclasses.dataclass(frozen=True)
class Int8:
    """A decision, and what each target makes of it.

    ``network`` is the float program that it is written into; ``quantized`` holds one of batches.
    """

    quantized: Quantized
    network: Program
    request: QuantizationRequest
    probes: tuple[Probe, ...]

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user should know of the data, of this machine and of what stays float."""
        said = list(self.quantized.samples.notes)
        arithmetics = {each.arithmetic for each in self.quantized.judged}
        if ONNX_RUNTIME_WITHOUT_VNNI.name in arithmetics:
            said.append(SATURATION_WARNING)
        if self.quantized.chosen is not None:
            kept = ", ".join(self.quantized.chosen.names)
            said.append(
                f"kept float to meet the accuracy bounds: {kept}"
                f" ({self.quantized.chosen.macs_share:.1%} of the multiply-accumulates)"
            )
        return tuple(said)

    def program(self, target: Target) -> Program:
        """Return the graph in the target's spelling."""
        return self._spelled(target.spelling)

    def references(self, target: Target) -> list[Reference]:
        """Return what the target's runtime has to answer, to the last bit.

        Probes are of the float program; those that the border makes integers are quantized as a
        caller would. The manifest's probe is drawn in integers, as runners draw it. The spelling
        is the target's own: ONNX Runtime's sums round otherwise on other zero points.
        """
        program = self._spelled(target.spelling)
        emulation = Emulation(program.graph_module, ARITHMETICS[target.name])
        return [self._reference(probe, program, emulation) for probe in self._probes(program)]

    def figures(
        self,
        target: Target,
        session: Session,
        program: Program,
        layout: Layout,
        expected: Sequence[Reference],
    ) -> list[OutputParity]:
        """Compare the artifact's integers with the emulation's, and judge.

        Raises:
            ParityError: they differ by more than their graph leaves open.
        """
        found = measure_integers(session, program, layout, expected, self._limits(target))
        judge_integers(found, target.name)
        return [each.figure() for each in found]

    def _limits(self, target: Target) -> dict[str, OutputLimit]:
        """Return what each output may be off by: nothing, unless a float operator is before it."""
        program = self._spelled(target.spelling)
        limits = output_limits(program.graph_module, ARITHMETICS[target.name])
        return {spec.name: each for spec, each in zip(program.outputs, limits, strict=True)}

    def scales(self) -> dict[str, Scale]:
        """Return the scale of each integer input and output, for the manifest."""
        found = border_scales(self.network, self.quantized.decision, self.request.border)
        return {
            name: Scale(scale=each.scale, zero_point=each.zero_point)
            for name, each in found.items()
        }

    def record(self, target: Target) -> Quantization:
        """Return what the manifest says of the decision, but for its accuracy."""
        quantized = self.quantized
        decision = quantized.decision
        nodes = {node.name: node for node in self.network.graph_module.graph.nodes}
        return Quantization(
            arithmetic=ARITHMETICS[target.name].name,
            ranges="fine-tuned" if quantized.fine_tuned else quantized.options.text,
            calibration=sample_set(quantized.samples.parts.calibration.record),
            evaluation=sample_set(quantized.evaluation.record),
            int8_layers=len(decision.weights),
            int8_macs=sum(node_macs(nodes[name]) for name in decision.weights),
            kept_float=kept_float(decision),
            accuracy=[],
        )

    def accuracy(self, target: Target, session: Session, layout: Layout) -> list[Accuracy]:
        """Return how the emulation answered; the artifact was proven equal to it."""
        del session, layout
        return accuracy(self._judged(target))

    def _judged(self, target: Target) -> Judged:
        arithmetic = ARITHMETICS[target.name].name
        return next(each for each in self.quantized.judged if each.arithmetic == arithmetic)

    def _spelled(self, spelling: Spelling) -> Program:
        quantized = self.quantized
        return spelled_program(self.network, quantized.decision, spelling, self.request.border)

    def _probes(self, program: Program) -> list[Probe]:
        samples = [
            Probe(name, inputs) for name, inputs in self.quantized.held_back(_PROVEN_SAMPLES)
        ]
        border = self.request.border
        if border == "float":
            return [*self.probes, *samples]
        scales = border_scales(self.network, self.quantized.decision, border)
        drawn = manifest_probe(program.inputs, kind="pixel")
        return [
            drawn if probe.name == drawn.name else _in_integers(probe, scales, border)
            for probe in (*self.probes, *samples)
        ]

    def _reference(self, probe: Probe, program: Program, emulation: Emulation) -> Reference:
        values = emulation.run([torch.from_numpy(value) for value in probe.inputs.values()])
        outputs = {
            spec.name: value.numpy() for spec, value in zip(program.outputs, values, strict=True)
        }
        return Reference(probe, outputs, dict.fromkeys(outputs, 0.0), "int8")


def _in_integers(probe: Probe, scales: Mapping[str, TensorScale], border: Border) -> Probe:
    inputs = {
        name: integers(torch.from_numpy(value), scales[name], border).numpy()
        if name in scales
        else value
        for name, value in probe.inputs.items()
    }
    return Probe(probe.name, inputs)
