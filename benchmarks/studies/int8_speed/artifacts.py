"""Write one network for one target in float32, in int8, and as the vendor quantizes it.

``python -m cnn_export.benchmarks.studies.int8_speed.artifacts FOLDER TARGET NETWORK`` prints what
the int8 file is, as JSON. Torch loads inside the calls.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cnn_export.benchmarks.studies.int8_speed.networks import images, network
from cnn_export.benchmarks.studies.int8_speed.vendors import VENDORS

FLOAT32, INT8, VENDOR = "float32", "int8", "vendor"
KINDS = (FLOAT32, INT8, VENDOR)
_CALIBRATION, _FRESH = (4, 7), (3, 9)
"""Number and seed of the images that ranges are taken from, and of those compared afterwards."""


def write(folder: Path, target_name: str, network_name: str) -> dict[str, Any]:
    """Write ``KIND.SUFFIX`` for every kind and return what the int8 file is.

    ``equal`` is the share of outputs that are the emulation's to the last bit.
    """
    from cnn_export.program.program import capture
    from cnn_export.reparam import reparameterize_graph
    from cnn_export.targets import load_target
    from cnn_export.targets.legalizations import INT8 as INT8_LEGALIZATION
    from cnn_export.targets.options import TargetOptions

    target = load_target(target_name)
    paths = {kind: folder / f"{kind}{target.suffix}" for kind in KINDS}
    calibration = images(*_CALIBRATION)
    program = capture(network(network_name), (calibration[0],))
    reparameterize_graph(program.graph_module, prove_equal=False)
    shared = _legalized(program, target.legalization)
    target.export(shared, TargetOptions(), paths[FLOAT32])
    VENDORS[target_name](shared, paths[FLOAT32], paths[VENDOR], calibration)
    quantized = _quantized(_legalized(program, INT8_LEGALIZATION), target, calibration)
    target.export(quantized, TargetOptions(precision="int8"), paths[INT8])
    report, vendor = target.partitions(paths[INT8]), target.partitions(paths[VENDOR])
    return {
        "equal": _equal(quantized, target, paths[INT8]),
        "partitions": report.partitions,
        "outside": [f"{each.op} {each.count}" for each in report.outside],
        "vendor_partitions": vendor.partitions,
        "size_ratio": paths[INT8].stat().st_size / paths[FLOAT32].stat().st_size,
    }


def _legalized(program: Any, legalization: Any) -> Any:
    from cnn_export.reparam import reparameterize_graph
    from cnn_export.reparam.graph.copies import copied

    graph_module = copied(program.graph_module)
    passes = [entry.program_pass for entry in legalization.passes]
    reparameterize_graph(graph_module, passes, prove_equal=False)
    return program.with_graph(graph_module)


def _quantized(program: Any, target: Any, calibration: Sequence[Any]) -> Any:
    from cnn_export.quantization.insertion.quantized_graph import quantized_graph
    from cnn_export.quantization.scheme.decide import decide
    from cnn_export.quantization.scheme.observation.observe import observe

    batches = [(image,) for image in calibration]
    decision = decide(program.graph_module, observe(program.graph_module, lambda: batches))
    return program.with_graph(quantized_graph(program.graph_module, decision, target.spelling))


def _equal(quantized: Any, target: Any, path: Path) -> float:
    from cnn_export.quantization.emulation.emulate import emulate
    from cnn_export.quantization.emulation.onnx_runtime import ONNX_RUNTIME
    from cnn_export.quantization.emulation.xnnpack import XNNPACK

    arithmetic = ONNX_RUNTIME if target.name == "onnx" else XNNPACK
    session, name = target.load(path), quantized.inputs[0].name
    equal: list[float] = []
    for image in images(*_FRESH):
        (expected,) = emulate(quantized.graph_module, (image,), arithmetic)
        (actual,) = session({name: image.numpy()}).values()
        equal.append(float((actual == expected.numpy()).mean()))
    return sum(equal) / len(equal)


def main(argv: Sequence[str] | None = None) -> int:
    """Write and print."""
    folder, target, name = sys.argv[1:] if argv is None else argv
    sys.stdout.write(json.dumps(write(Path(folder), target, name)) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
