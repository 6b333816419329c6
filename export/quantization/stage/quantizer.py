"""One network's calibration: observed once, decided and judged as often as layers are tried."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from cnn_export.program.program import Program
from cnn_export.quantization.accuracy.calibrated_twice import calibrated_twice
from cnn_export.quantization.accuracy.figures import OutputFigures
from cnn_export.quantization.accuracy.float_layers.layer_costs import layer_costs
from cnn_export.quantization.accuracy.float_layers.sensitivity import (
    LayerCost,
    LayerSensitivity,
    measure_sensitivity,
)
from cnn_export.quantization.accuracy.measurement import answers, measure
from cnn_export.quantization.accuracy.output_error import output_error
from cnn_export.quantization.accuracy.refusal import require_same_twice
from cnn_export.quantization.accuracy.verdict import Verdict, judge
from cnn_export.quantization.calibration.data import CalibrationData
from cnn_export.quantization.decision import Decision, TensorScale
from cnn_export.quantization.emulation.arithmetic import Arithmetic
from cnn_export.quantization.scheme.decide import decide
from cnn_export.quantization.scheme.decide_weights import decide_weights
from cnn_export.quantization.scheme.observation.observe import observe
from cnn_export.quantization.scheme.observation.statistics import Statistics
from cnn_export.quantization.scheme.options import SchemeOptions
from cnn_export.quantization.scheme.placement.layer_names import layer_names
from cnn_export.quantization.scheme.simulation.bias_correction import correct_biases
from cnn_export.quantization.stage.networks import float_network, int8_network
from cnn_export.quantization.stage.samples import Evaluation, Samples

_SENSITIVITY_SAMPLES = 16
"""Of calibration's, for each network that is tried; what they choose is judged on others."""


@dataclasses.dataclass(frozen=True)
class Judged:
    """The figures of one arithmetic on the held-back samples."""

    arithmetic: str
    figures: tuple[OutputFigures, ...]
    verdicts: tuple[Verdict, ...]

    @property
    def met(self) -> bool:
        """Whether no figure is below its bound."""
        return all(verdict.met for verdict in self.verdicts)


class Quantizer:
    """Calibrates once; decides and judges as often as float layers are tried."""

    def __init__(
        self,
        program: Program,
        samples: Samples,
        options: SchemeOptions,
        recorded: Decision | None = None,
        border: Mapping[str, TensorScale] = MappingProxyType({}),
        *,
        weights_only: bool = False,
    ) -> None:
        """Observe the calibration samples; a ``recorded`` decision is taken as it is.

        ``border`` holds inputs that are integers where nothing else is decided of them. With
        ``weights_only`` nothing is observed, and no activation is decided.

        Raises:
            InputRefused: NaN or infinity in the network on one of them.
        """
        self.program, self.samples, self._options = program, samples, options
        self._recorded, self._border = recorded, border
        self.statistics = None if weights_only else self._observed(samples.parts.calibration)
        self._float = float_network(program)

    def decided(self, keep_float: frozenset[str] = frozenset()) -> Decision:
        """Decide with more layers kept float than were asked for."""
        if self._recorded is not None and not keep_float:
            return self._with_border(self._recorded)
        return self._decide(self.samples.parts.calibration, self.statistics, keep_float)

    def without_int8_form(self) -> Mapping[str, str]:
        """Return why operators are float that nobody asked to keep float, nor a layer beside them.

        Of a recorded decision: all that it keeps float; it does not tell who asked.
        """
        if self._recorded is not None:
            return self._recorded.kept_float
        graph_module = self.program.graph_module
        free = dataclasses.replace(self._options, keep_float=frozenset())
        if self.statistics is None:
            return decide_weights(graph_module, free).kept_float
        return decide(graph_module, self.statistics, free).kept_float

    def judge(self, decision: Decision, arithmetic: Arithmetic, on: Evaluation) -> Judged:
        """Measure on held-back samples, in a runtime's arithmetic."""
        network = int8_network(self.program, decision, arithmetic)
        figures = measure(
            answers(self._float, network, on.data.batches()),
            labels=on.labels,
            limits=self._limits(decision),
        )
        return Judged(arithmetic.name, figures, judge(figures) if self.samples.judged else ())

    def _limits(self, decision: Decision) -> dict[str, tuple[float, float]]:
        """Return what int8 reaches of each output that it holds."""
        results: Any = self.program.graph_module.graph.output_node().args[0]
        pairs = zip(self.program.outputs, results, strict=True)
        scales = {spec.name: decision.tensors.get(node.name) for spec, node in pairs}
        return {name: (each.low, each.high) for name, each in scales.items() if each is not None}

    def require_same_twice(
        self, arithmetic: Arithmetic, keep_float: frozenset[str] = frozenset()
    ) -> None:
        """Calibrate on two disjoint halves, and compare on the held-back samples.

        Raises:
            AccuracyRefused: they lead to different networks.
        """
        decisions = [
            self._decide(half, self._observed(half), keep_float)
            for half in self.samples.parts.halves
        ]
        first, second = (int8_network(self.program, each, arithmetic) for each in decisions)
        figures = measure(answers(first, second, self.samples.parts.held_back.batches()))
        require_same_twice(calibrated_twice(decisions[0], decisions[1], figures))

    def sensitivity(self, arithmetic: Arithmetic) -> tuple[LayerSensitivity, ...]:
        """Measure, on calibration samples, which layers the error comes from."""
        samples = self.samples.parts.calibration.first(_SENSITIVITY_SAMPLES)

        def error_with(names: frozenset[str]) -> float:
            network = int8_network(self.program, self.decided(names), arithmetic)
            return output_error(answers(self._float, network, samples.batches()))

        return measure_sensitivity(error_with, self._layers())

    def _layers(self) -> list[LayerCost]:
        """Return the layers that are int8 now, as people call them."""
        graph_module = self.program.graph_module
        shown = {node: name for name, node in layer_names(graph_module).items()}
        int8 = {shown[name] for name in self.decided().weights}
        return [each for each in layer_costs(graph_module, shown) if each.name in int8]

    def _observed(self, data: CalibrationData) -> Statistics:
        return observe(self.program.graph_module, data.tensors)

    def _decide(
        self,
        data: CalibrationData,
        statistics: Statistics | None,
        more: frozenset[str] = frozenset(),
    ) -> Decision:
        """Decide from what the tensors held on ``data``; without that, about weights alone."""
        kept = self._options.keep_float | more
        options = dataclasses.replace(self._options, keep_float=kept)
        graph_module = self.program.graph_module
        if statistics is None:
            return decide_weights(graph_module, options)
        decision = self._with_border(decide(graph_module, statistics, options))
        if options.correct_biases:
            decision = correct_biases(graph_module, decision, data.tensors)
        return decision

    def _with_border(self, decision: Decision) -> Decision:
        return dataclasses.replace(decision, tensors={**self._border, **decision.tensors})
