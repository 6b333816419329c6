"""Quantize a subject and say what that costs: the steps of a job, without files."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

import torch

from cnn_export.benchmarks.studies.int8.networks import Subject
from cnn_export.benchmarks.studies.int8.variants import Variant
from cnn_export.program.tensors import Tensors
from cnn_export.quantization.accuracy.calibrated_twice import CalibratedTwice, calibrated_twice
from cnn_export.quantization.accuracy.figures import OutputFigures
from cnn_export.quantization.accuracy.float_layers.layer_costs import layer_costs
from cnn_export.quantization.accuracy.float_layers.sensitivity import (
    LayerSensitivity,
    measure_sensitivity,
)
from cnn_export.quantization.accuracy.measurement import Run, answers, measure, module_run
from cnn_export.quantization.accuracy.output_error import output_error
from cnn_export.quantization.accuracy.verdict import judge
from cnn_export.quantization.calibration.data import CalibrationData
from cnn_export.quantization.decision import Decision
from cnn_export.quantization.emulation.emulate import Emulation
from cnn_export.quantization.emulation.xnnpack import XNNPACK
from cnn_export.quantization.insertion.quantized_graph import quantized_graph
from cnn_export.quantization.scheme.decide import decide
from cnn_export.quantization.scheme.observation.observe import observe
from cnn_export.quantization.scheme.observation.statistics import Statistics
from cnn_export.quantization.scheme.placement.layer_names import layer_names
from cnn_export.quantization.scheme.simulation.bias_correction import correct_biases
from cnn_export.quantization.spelling import Spelling

_SENSITIVITY_SAMPLES = 16
"""Of those that calibrate: what is chosen by some samples is not judged by them."""


class Quantizer:
    """A fold of a subject, with its float answers and statistics, each computed once."""

    def __init__(self, subject: Subject, fold: int = 0) -> None:
        self._subject, self._samples = subject, subject.samples[fold]
        self._graph_module = subject.program.graph_module
        self._inputs = [spec.name for spec in subject.program.inputs]
        self._outputs = [spec.name for spec in subject.program.outputs]
        self._float = module_run(self._graph_module, self._inputs, self._outputs)
        self._answers: dict[str, list[Tensors]] = {}
        self._statistics: dict[str, Statistics] = {}

    def decide(
        self,
        variant: Variant,
        kept: frozenset[str] = frozenset(),
        samples: CalibrationData | None = None,
    ) -> Decision:
        """Return the decision on the calibration samples, or on ``samples``; ``kept`` is float."""
        data = samples or self._samples.calibration
        key = data.record.sha256
        if key not in self._statistics:
            self._statistics[key] = observe(self._graph_module, data.tensors)
        options = dataclasses.replace(variant.options, keep_float=kept)
        decision = decide(self._graph_module, self._statistics[key], options)
        if not variant.corrected:
            return decision
        return correct_biases(self._graph_module, decision, data.tensors)

    def run(self, decision: Decision) -> Run:
        """Return how to compute what XNNPACK answers."""
        quantized = quantized_graph(self._graph_module, decision, Spelling())
        emulation = Emulation(quantized, XNNPACK)

        def answer(*inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
            return emulation.run(inputs)

        return module_run(answer, self._inputs, self._outputs)

    def pairs(self, run: Run) -> Iterable[tuple[Tensors, Tensors]]:
        """Yield what float and the run answer to the samples that judge."""
        return self._pairs("judging", self._samples.held_back, run)

    def meets(self, variant: Variant, kept: frozenset[str]) -> bool:
        """Whether all bounds are met with those layers float."""
        found = figures(self._subject, self.pairs(self.run(self.decide(variant, kept))))
        return all(verdict.met for verdict in judge(found))

    def sensitivity(self, variant: Variant, evaluations: int) -> tuple[LayerSensitivity, ...]:
        """Return the layers whose float form helps most, on some of the calibration samples."""
        samples = self._samples.calibration.first(_SENSITIVITY_SAMPLES)

        def error_with(kept: frozenset[str]) -> float:
            run = self.run(self.decide(variant, kept))
            return output_error(self._pairs("sensitivity", samples, run), self._subject.kinds)

        shown = {node: name for name, node in layer_names(self._graph_module).items()}
        layers = layer_costs(self._graph_module, shown)
        return measure_sensitivity(error_with, layers, evaluations)

    def twice(self, variant: Variant) -> CalibratedTwice:
        """Return how far two halves of the calibration samples agree."""
        first, second = (self.decide(variant, samples=half) for half in self._samples.halves)
        runs = self.run(first), self.run(second)
        batches = self._samples.held_back.batches()
        found = measure(answers(*runs, batches), self._subject.kinds)
        return calibrated_twice(first, second, found)

    def _pairs(
        self, name: str, samples: CalibrationData, run: Run
    ) -> Iterable[tuple[Tensors, Tensors]]:
        """Yield float's answers, computed once, and the run's."""
        if name not in self._answers:
            self._answers[name] = [self._float(inputs) for inputs in samples.batches()]
        for expected, inputs in zip(self._answers[name], samples.batches(), strict=True):
            yield expected, run(inputs)


def figures(
    subject: Subject, pairs: Iterable[tuple[Tensors, Tensors]]
) -> tuple[OutputFigures, ...]:
    """Return the figures of one fold, or of all of them one after the other."""
    return measure(pairs, subject.kinds, subject.labels)
