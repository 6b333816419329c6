"""Layers of dynamic range: ONNX's own operators in place of a layer with int8 weights.

*Given* ``DequantizeLinear(W) → Conv or Gemm``. *Result* ``DynamicQuantizeLinear(x)``, then
``ConvInteger`` or ``MatMulInteger``, ``Cast``, ``Mul`` by both scales, ``Add`` of the bias. The
simplest form there is, and no vendor's quantizer: the scales per channel are the graph's own.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from cnn_export.errors import OperatorRefused
from cnn_export.program.tensors import Array


def with_dynamic_layers(model: Any) -> None:
    """Rewrite every layer whose weights are dequantized, in place.

    Raises:
        OperatorRefused: the exporter wrote a layer in another form.
    """
    from onnx import numpy_helper

    stored = {each.name: each for each in model.graph.initializer}
    weights = {
        node.output[0]: node
        for node in model.graph.node
        if node.op_type == "DequantizeLinear" and node.input[0] in stored
    }
    writer = _Writer({name: numpy_helper.to_array(each) for name, each in stored.items()})
    for node in model.graph.node:
        read = [weights[name] for name in node.input if name in weights]
        if read:
            writer.layer(node, read[0])
        elif node.output[0] not in weights:
            writer.nodes.append(node)
    nodes = list(writer.nodes)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    used = {name for node in nodes for name in node.input}
    kept = [each for each in model.graph.initializer if each.name in used]
    del model.graph.initializer[:]
    model.graph.initializer.extend([*kept, *writer.constants])
    del model.graph.value_info[:]


class _Writer:
    """Collects the nodes of the new graph, each input quantized once."""

    def __init__(self, stored: dict[str, Array]) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self._stored = stored
        self._quantized: dict[str, tuple[str, str, str]] = {}

    def layer(self, node: Any, weight: Any) -> None:
        """Write one layer; ``weight`` is the dequantize of its weights."""
        if node.op_type not in ("Conv", "Gemm") or node.input[1] != weight.output[0]:
            raise OperatorRefused(f"{node.name}, a {node.op_type}, has no form of dynamic range")
        steps, scale, zero_point = self._input(node.input[0])
        name, values = node.output[0], self._stored[weight.input[0]]
        scales = self._stored[weight.input[1]]
        if node.op_type == "Conv":
            shape = (1, -1, *[1] * (values.ndim - 2))
            integers = self._constant(f"{name}_weight", values)
            self._call("ConvInteger", [steps, integers, zero_point], f"{name}_sums", node.attribute)
        else:
            given = {each.name: each for each in node.attribute}
            transposed = "transB" in given and bool(given["transB"].i)
            if any(key in given for key in ("alpha", "beta", "transA")) and not _plain(given):
                raise OperatorRefused(f"{node.name}, a scaled Gemm, has no form of dynamic range")
            shape = (1, -1)
            turned = np.ascontiguousarray(values.T) if transposed else values
            integers = self._constant(f"{name}_weight", turned)
            self._call("MatMulInteger", [steps, integers, zero_point], f"{name}_sums", ())
        both = self._constant(f"{name}_scales", scales.reshape(shape))
        self._cast(f"{name}_sums", f"{name}_real")
        self._call("Mul", [scale, both], f"{name}_step")
        last = f"{name}_scaled" if len(node.input) > 2 else name  # x, weight, bias
        self._call("Mul", [f"{name}_real", f"{name}_step"], last)
        if last != name:
            bias = self._constant(f"{name}_bias", self._stored[node.input[2]].reshape(shape))
            self._call("Add", [last, bias], name)

    def _input(self, name: str) -> tuple[str, str, str]:
        if name not in self._quantized:
            made = (f"{name}_steps", f"{name}_scale", f"{name}_zero_point")
            self._call("DynamicQuantizeLinear", [name], made)
            self._quantized[name] = made
        return self._quantized[name]

    def _cast(self, source: str, result: str) -> None:
        from onnx import TensorProto, helper

        self.nodes.append(helper.make_node("Cast", [source], [result], to=TensorProto.FLOAT))

    def _call(self, kind: str, inputs: list[str], outputs: Any, attributes: Any = ()) -> None:
        from onnx import helper

        names = [outputs] if isinstance(outputs, str) else list(outputs)
        made = helper.make_node(kind, inputs, names, name=names[0])
        made.attribute.extend(attributes)
        self.nodes.append(made)

    def _constant(self, name: str, value: Array) -> str:
        from onnx import numpy_helper

        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name


def _plain(given: dict[str, Any]) -> bool:
    """Whether a Gemm multiplies by nothing but its weights."""
    factors = [given[name].f for name in ("alpha", "beta") if name in given]
    return all(each == 1.0 for each in factors) and not ("transA" in given and given["transA"].i)
