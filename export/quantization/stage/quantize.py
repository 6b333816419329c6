"""One decision for a whole job, calibrated, judged on samples it has not seen, or refused."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from cnn_export.errors import AccuracyRefused, InputRefused
from cnn_export.program.program import Program
from cnn_export.program.tensors import Tensors
from cnn_export.quantization.accuracy.float_layers.keep_float import KeptFloat, choose_float
from cnn_export.quantization.accuracy.float_layers.sensitivity import LayerSensitivity
from cnn_export.quantization.accuracy.refusal import require_accuracy
from cnn_export.quantization.calibration.data import CalibrationData
from cnn_export.quantization.decision import Decision, TensorScale
from cnn_export.quantization.emulation.arithmetic import Arithmetic
from cnn_export.quantization.request import AUTOMATIC, QuantizationRequest
from cnn_export.quantization.scheme.observation.statistics import Statistics
from cnn_export.quantization.scheme.options import SchemeOptions
from cnn_export.quantization.scheme.simulation.layer_errors import LayerError, layer_errors
from cnn_export.quantization.scheme.simulation.weight_errors import WeightError, weight_errors
from cnn_export.quantization.stage.quantizer import Judged, Quantizer
from cnn_export.quantization.stage.samples import Evaluation, Samples

_NAMES = {"int8-weights": "a network with int8 weights", "int8-dynamic": "dynamic int8"}
"""What is said to be not accurate enough, by precision."""


@dataclasses.dataclass(frozen=True)
class Quantized:
    """A decision on a program's graph, the data behind it, and how it was judged.

    ``statistics`` are those of the calibration samples (``None``: nothing is calibrated where only
    weights are decided). ``judged`` holds an entry per arithmetic, over ``evaluation``: the
    held-back samples without those that float layers were chosen by; on synthetic ones no verdict
    is drawn. ``chosen`` is what ``--keep-float auto`` chose; ``fine_tuned``: the checkpoint came
    with the decision.
    """

    program: Program
    decision: Decision
    statistics: Statistics | None
    options: SchemeOptions
    samples: Samples
    judged: tuple[Judged, ...]
    evaluation: CalibrationData
    chosen: KeptFloat | None = None
    fine_tuned: bool = False

    def layer_errors(self, count: int) -> tuple[LayerError, ...]:
        """Return what each layer's integers lose, on the first calibration samples.

        Raises:
            ValueError: nothing was calibrated.
        """
        if self.statistics is None:
            raise ValueError("weights alone are rounded: there are no ranges to tell of")
        some = self.samples.parts.calibration.first(count)
        return layer_errors(self.program.graph_module, self.decision, self.statistics, some.tensors)

    def weight_errors(self) -> tuple[WeightError, ...]:
        """Return what rounding does to each layer's weights."""
        return weight_errors(self.program.graph_module, self.decision)

    def held_back(self, count: int) -> list[tuple[str, Tensors]]:
        """Return the first batches of held-back samples, as the program takes them, by name."""
        held_back = self.samples.parts.held_back
        size = max(self.program.example_inputs_of_one()[0].shape[0], 1)
        some = dataclasses.replace(held_back.first(count * size), batch=size)
        return list(zip(some.names[::size], some.batches(), strict=True))


def quantize(
    program: Program,
    request: QuantizationRequest,
    samples: Samples,
    options: SchemeOptions,
    arithmetics: Sequence[Arithmetic],
    recorded: Decision | None = None,
    border: Mapping[str, TensorScale] = MappingProxyType({}),
) -> Quantized:
    """Decide once for all arithmetics of a job, or judge what a checkpoint was fine-tuned for.

    ``border`` holds inputs that are integers whatever reads them.

    Raises:
        AccuracyRefused: the held-back samples are answered otherwise than in float, or two halves
            of the calibration samples lead to two networks; says what to do.
        InputRefused: nothing of the network can be int8, or not all of it and ``strict`` is set.
    """
    what, weights_only = _NAMES.get(request.precision, "int8"), not request.calibrates
    quantizer = Quantizer(program, samples, options, recorded, border, weights_only=weights_only)
    way = "; use --precision fp16" if weights_only else ""
    evaluation = samples.evaluation
    decision, chosen = quantizer.decided(), None
    _require_int8_layers(decision)
    if request.strict:
        _require_int8_forms(quantizer.without_int8_form())
    judged = [quantizer.judge(decision, each, evaluation) for each in arithmetics]
    missed = next((each for each in judged if not each.met), None)
    if missed is not None:
        arithmetic = next(each for each in arithmetics if each.name == missed.arithmetic)
        sensitivity = quantizer.sensitivity(arithmetic)
        if recorded is not None or AUTOMATIC not in request.keep_float:
            require_accuracy(missed.verdicts, sensitivity, what, way)
        # What is chosen on some samples looks better on those than it is.
        to_choose, to_judge = evaluation.halves()
        chosen = _chosen(quantizer, sensitivity, arithmetics, to_choose)
        decision, evaluation = quantizer.decided(frozenset(chosen.names)), to_judge
        _require_int8_layers(decision)
        judged = [quantizer.judge(decision, each, to_judge) for each in arithmetics]
        for each in judged:
            require_accuracy(each.verdicts, sensitivity, what, way)
    if samples.judged and recorded is None and not weights_only:
        kept = frozenset(chosen.names if chosen is not None else ())
        quantizer.require_same_twice(arithmetics[0], kept)
    statistics = quantizer.statistics
    fine_tuned = recorded is not None
    return Quantized(
        program,
        decision,
        statistics,
        options,
        samples,
        tuple(judged),
        evaluation.data,
        chosen,
        fine_tuned,
    )


def _chosen(
    quantizer: Quantizer,
    sensitivity: Sequence[LayerSensitivity],
    arithmetics: Sequence[Arithmetic],
    evaluation: Evaluation,
) -> KeptFloat:
    def meets(names: frozenset[str]) -> bool:
        decision = quantizer.decided(names)
        return all(quantizer.judge(decision, each, evaluation).met for each in arithmetics)

    chosen = choose_float(sensitivity, meets)
    if chosen is None:
        raise AccuracyRefused(
            "int8 misses its bounds even with every layer float: what is left, operators without"
            " weights, is not accurate enough; use --precision fp16"
        )
    return chosen


def _require_int8_layers(decision: Decision) -> None:
    if not decision.weights:
        said = _listed(decision.kept_float)
        raise InputRefused(f"no layer of this network can be int8 ({said}); use --precision fp32")


def _require_int8_forms(kept_float: Mapping[str, str]) -> None:
    if kept_float:
        raise InputRefused(f"--strict: not all of the network is int8: {_listed(kept_float)}")


def _listed(kept_float: Mapping[str, str]) -> str:
    return "; ".join(f"{name}: {reason}" for name, reason in kept_float.items())
