"""An int8 decision, and what each target makes of it: its spelling, its references, its record."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from cnn_export.job.int8.forms import Form, form_of
from cnn_export.job.int8.record import accuracy, kept_float, sample_set
from cnn_export.manifest.quantization_fields import Accuracy, Quantization, Scale
from cnn_export.program.program import Program
from cnn_export.proof.integer_parity import judge_integers, measure_integers
from cnn_export.proof.parity import OutputParity, Reference
from cnn_export.proof.probes import Probe, manifest_probe
from cnn_export.quantization.decision import TensorScale
from cnn_export.quantization.emulation.emulate import Emulation
from cnn_export.quantization.emulation.host import SATURATION_WARNING
from cnn_export.quantization.emulation.limits import output_limits
from cnn_export.quantization.emulation.onnx_runtime import ONNX_RUNTIME_WITHOUT_VNNI
from cnn_export.quantization.request import QuantizationRequest
from cnn_export.quantization.spelling import Border, DeviceProfile
from cnn_export.quantization.stage.border_program import (
    border_scales,
    integers,
    spelled_program,
)
from cnn_export.quantization.stage.quantize import Quantized
from cnn_export.quantization.stage.quantizer import Judged
from cnn_export.reparam.cost import node_macs
from cnn_export.targets.base import Target
from cnn_export.targets.onnx.runtime import takes_signed_here
from cnn_export.targets.onnx.uint8_twin import signed, write_twin
from cnn_export.targets.trial import RunningArtifact, opened

_PROVEN_SAMPLES = 4
"""Held-back samples among the probes: noise leaves the ranges that data keeps to."""

_ARM_NOTE = (
    "--device-profile arm: as emulated; not run on ARM64. This machine's ONNX Runtime computes such"
    " files partly in floats, so what was run is the file with its activations moved to uint8"
)
_DEVICES = {"x86": "x86", "htp": "HTP", "arm": "ARM64"}
_NOT_RUN_NOTE = "--device-profile {}: run on ONNX Runtime's CPU; {} was not run"


@dataclasses.dataclass(frozen=True)
class Int8:
    """A decision, and what each target makes of it.

    ``network`` is the float program that it is written into; ``quantized`` holds one of batches.
    """

    quantized: Quantized
    network: Program
    request: QuantizationRequest
    probes: tuple[Probe, ...]
    profile: DeviceProfile | None = None

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user should know of the data, of this machine and of what stays float."""
        said = list(self.quantized.samples.notes)
        arithmetics = {each.arithmetic for each in self.quantized.judged}
        if ONNX_RUNTIME_WITHOUT_VNNI.name in arithmetics:
            said.append(SATURATION_WARNING)
        if self._has_twin:
            said.append(_ARM_NOTE)
        elif self._not_run is not None:
            said.append(_NOT_RUN_NOTE.format(self.profile, self._not_run))
        if self.quantized.chosen is not None:
            kept = ", ".join(self.quantized.chosen.names)
            said.append(
                f"kept float to meet the accuracy bounds: {kept}"
                f" ({self.quantized.chosen.macs_share:.1%} of the multiply-accumulates)"
            )
        return tuple(said)

    def program(self, target: Target) -> Program:
        """Return the graph in the target's spelling."""
        return self._spelled(form_of(target, self.profile))

    def references(self, target: Target) -> list[Reference]:
        """Return what the target's runtime has to answer, to the last bit.

        Probes are of the float program; those that the border makes integers are quantized as a
        caller would. The manifest's probe is drawn in integers, as runners draw it. The spelling
        is the target's own: ONNX Runtime's sums round otherwise on other zero points.
        """
        return self._references(form_of(target, self.profile))

    def figures(
        self,
        target: Target,
        artifact: RunningArtifact,
        expected: Sequence[Reference],
        accepted: float | None,
    ) -> list[OutputParity]:
        """Compare the artifact's integers with the emulation's, and judge.

        Raises:
            ParityError: they differ by more than their graph leaves open.
        """
        del accepted  # integers must be equal
        form, program = form_of(target, self.profile), artifact.program
        session = artifact.session
        if self._has_twin:
            session(expected[0].probe.inputs)  # it loads and runs here, too
            form, expected = form_of(target), self._references(form_of(target))
            with tempfile.TemporaryDirectory(prefix="cnn-export-") as folder:
                twin = Path(folder) / artifact.path.name
                moved = write_twin(artifact.path, twin)
                session = signed(opened(target, twin), moved)
        limits = output_limits(self._spelled(form).graph_module, form.arithmetic)
        by_output = {spec.name: each for spec, each in zip(program.outputs, limits, strict=True)}
        found = measure_integers(session, program, artifact.layout, expected, by_output)
        judge_integers(found, target.name)
        return [each.figure() for each in found]

    @property
    def _has_twin(self) -> bool:
        """Whether this machine proves another form of the file than the one that is kept."""
        return self.profile == "arm" and not takes_signed_here()

    @property
    def _not_run(self) -> str | None:
        """The device that the file is for, where this machine is none."""
        on_arm = takes_signed_here()
        ran = {None, "arm" if on_arm else "x86"}
        return None if self.profile in ran else _DEVICES[self.profile or ""]

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
            arithmetic=form_of(target, self.profile).arithmetic.name,
            device_profile=self.profile,
            proven_in=form_of(target).arithmetic.name if self._has_twin else None,
            not_run=self._not_run,
            ranges="fine-tuned" if quantized.fine_tuned else quantized.options.text,
            bias_correction=self.request.bias_correction or None,
            calibration=sample_set(quantized.samples.parts.calibration.record),
            evaluation=sample_set(quantized.evaluation.record),
            int8_layers=len(decision.weights),
            int8_macs=sum(node_macs(nodes[name]) for name in decision.weights),
            kept_float=kept_float(decision),
            accuracy=[],
        )

    def accuracy(self, target: Target, artifact: RunningArtifact) -> list[Accuracy]:
        """Return how the emulation answered; the artifact was proven equal to it."""
        del artifact
        return accuracy(self._judged(target))

    def _judged(self, target: Target) -> Judged:
        name = form_of(target, self.profile).arithmetic.name
        return next(each for each in self.quantized.judged if each.arithmetic == name)

    def _spelled(self, form: Form) -> Program:
        decision, border = self.quantized.decision, self.request.border
        return spelled_program(self.network, decision, form.spelling, border)

    def _references(self, form: Form) -> list[Reference]:
        program = self._spelled(form)
        emulation = Emulation(program.graph_module, form.arithmetic)
        return [self._reference(probe, program, emulation) for probe in self._probes(program)]

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
