"""One quantization of one graph, from what its tensors held."""

from __future__ import annotations

from torch import fx

from cnn_export.quantization.decision import Decision, LayerWeights, TensorScale
from cnn_export.quantization.insertion.clips import Bounds
from cnn_export.quantization.scheme.floors import GroupScales, raise_scales, ratios
from cnn_export.quantization.scheme.group_ranges import GroupRange, group_ranges
from cnn_export.quantization.scheme.observation.statistics import Statistics
from cnn_export.quantization.scheme.options import SchemeOptions
from cnn_export.quantization.scheme.placement.layer_names import nodes_called
from cnn_export.quantization.scheme.placement.place import Placement, place
from cnn_export.quantization.scheme.weights import LayerWeightValues


def decide(
    graph_module: fx.GraphModule, statistics: Statistics, options: SchemeOptions | None = None
) -> Decision:
    """Decide which tensors are integers, and at which scales; the same data, the same decision.

    What would not fit a runtime's integers (a ratio, a sum of 32 bits) stays float and says so.

    Raises:
        UsageError: ``options.keep_float`` names a layer that is not there.
        ValueError: the statistics are of another graph.
    """
    options = options or SchemeOptions()
    named = nodes_called(graph_module, options.keep_float)
    draft = _Draft(graph_module, statistics, options)
    refused = {node: f"{shown} is kept float as asked" for node, shown in named.items()}
    unfused: set[str] = set()
    # Each round refuses or unfuses at least one operator more, so there is a last one.
    while True:
        draft.settle(place(graph_module, refused, unfused))
        too_narrow = draft.clips_left_to_compute()
        misfits = draft.misfits()
        if not too_narrow and not misfits:
            return draft.decision()
        unfused |= too_narrow
        refused |= misfits


class _Draft:
    """A placement with its scales, checked before it becomes a decision."""

    def __init__(
        self, graph_module: fx.GraphModule, statistics: Statistics, options: SchemeOptions
    ) -> None:
        self._graph_module, self._statistics, self._options = graph_module, statistics, options
        self._layers: dict[fx.Node, LayerWeightValues] = {}

    def settle(self, placement: Placement) -> None:
        """Take a placement and choose its scales."""
        self._placement = placement
        for operator in placement.operators:
            if operator.layer is not None and operator.node not in self._layers:
                values = LayerWeightValues(self._graph_module, operator.layer)
                self._layers[operator.node] = values
        self._ranges = group_ranges(self._graph_module, placement, self._statistics, self._options)
        group_of = {n: at for at, group in enumerate(placement.groups) for n in group}
        self._scales = GroupScales(group_of, [each.scale for each in self._ranges])
        raise_scales(placement.operators, self._layers, self._scales)
        self._weights = {
            operator.node: self._layers[operator.node].scales(
                self._scales.of(operator.inputs[0]),
                self._scales.of(operator.output),
                per_tensor=self._options.per_tensor_weights,
            )
            for operator in placement.operators
            if operator.layer is not None
        }

    def clips_left_to_compute(self) -> set[str]:
        """Return the operators whose clip saturating does not do: int8 reaches beyond it."""
        left: set[str] = set()
        for operator in self._placement.operators:
            scale = self._tensor(operator.output)
            if operator.clip is not None and not Bounds(scale.low, scale.high).within(
                operator.clip
            ):
                left.add(operator.node.name)
        return left

    def misfits(self) -> dict[str, str]:
        """Return the operators whose numbers do not fit, each with the reason."""
        found: dict[str, str] = {}
        for operator in self._placement.operators:
            weights = self._weights.get(operator.node)
            scales = [] if weights is None else weights.tolist()
            values, (least, most) = ratios(operator, self._scales.of, scales)
            odd = [value for value in values if not least <= value < most]
            if odd:
                found[operator.node.name] = f"its scales' ratio, {odd[0]:.3g}, fits no runtime"
            elif weights is not None:
                values = self._layers[operator.node]
                if values.overflows(self._scales.of(operator.inputs[0]), weights):
                    found[operator.node.name] = "its sums may be longer than 32 bits"
        return found

    def decision(self) -> Decision:
        """Return the placement with its scales as a value."""
        order = [node for node in self._graph_module.graph.nodes if node in self._scales.group_of]
        return Decision(
            {node.name: self._tensor(node) for node in order},
            {node.name: LayerWeights(tuple(w.tolist())) for node, w in self._weights.items()},
            self._placement.kept_float,
        )

    def _tensor(self, node: fx.Node) -> TensorScale:
        at = self._scales.group_of[node]
        found: GroupRange = self._ranges[at]
        why = found.why + ("; raised to a ratio that fits" if at in self._scales.raised else "")
        return TensorScale(self._scales.scales[at], found.zero_point, why)
