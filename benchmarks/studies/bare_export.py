"""The vendors' own calls on torchvision's MobileNetV2, as their manuals show them.

Run as ``python -m cnn_export.benchmarks.studies.bare_export TARGET WEIGHTS OUT``: what a user
without this package would write, and what ``cnn-export`` is measured against. Torch and the vendors
load inside the calls, in the order such a script imports them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

INPUT_SHAPE = (1, 3, 224, 224)


def _network(weights: str) -> tuple[Any, Any]:
    """Return the network in eval mode and an example input."""
    import torch
    import torchvision

    network = torchvision.models.mobilenet_v2()
    network.load_state_dict(torch.load(weights, weights_only=True))
    return network.eval(), torch.randn(INPUT_SHAPE)


def onnx(network: Any, inputs: tuple[Any, ...], out: str) -> None:
    """Torch's exporter."""
    import torch

    torch.onnx.export(network, inputs, out, dynamo=True, verbose=False)


def tflite(network: Any, inputs: tuple[Any, ...], out: str) -> None:
    """litert-torch."""
    import litert_torch

    converted: Any = litert_torch.convert(network, inputs)
    converted.export(out)


def coreml(network: Any, inputs: tuple[Any, ...], out: str) -> None:
    """coremltools, from the exported program, in float32."""
    import coremltools
    import torch

    program = torch.export.export(network, inputs).run_decompositions({})
    vendor: Any = coremltools
    model = vendor.convert(
        program,
        minimum_deployment_target=vendor.target.iOS16,
        compute_precision=vendor.precision.FLOAT32,
    )
    model.save(out)


def executorch(network: Any, inputs: tuple[Any, ...], out: str) -> None:
    """ExecuTorch with XNNPACK."""
    import torch
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import to_edge_transform_and_lower

    program = torch.export.export(network, inputs)
    lowered: Any = to_edge_transform_and_lower(program, partitioner=[XnnpackPartitioner()])
    with Path(out).open("wb") as file:
        lowered.to_executorch().write_to_file(file)


BARE: dict[str, Callable[[Any, tuple[Any, ...], str], None]] = {
    "onnx": onnx,
    "tflite": tflite,
    "coreml": coreml,
    "executorch": executorch,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one bare call."""
    target, weights, out = sys.argv[1:] if argv is None else argv
    network, image = _network(weights)
    BARE[target](network, (image,), out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
