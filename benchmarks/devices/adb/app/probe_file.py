r"""From a manifest to the probe file that the app reads: ``key=value`` lines. Pure.

The phone has no reader of manifests; this is all of one that a runner needs, in an order and a
spelling of its own, so that the same manifest gives the same bytes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from cnn_export.benchmarks.results.protocol import PROTOCOL_VERSION
from cnn_export.errors import InputRefused
from cnn_export.manifest.fields import ProbeOutput, Tensor
from cnn_export.manifest.manifest import Manifest

_VALUES_MAX = 2**28
"""Values of one input, as on the host."""


def probe_file(manifest: Manifest, runtime: str) -> str:
    """Return the text for an artifact that ``runtime`` (its host's name) will run.

    Raises:
        InputRefused: a name would break a line, or an input has more values than memory holds.
    """
    probe = manifest.probe
    pairs = [
        ("protocol", str(PROTOCOL_VERSION)),
        ("name", manifest.artifact),
        ("sha256", manifest.artifact_sha256),
        ("runtime", runtime),
        ("seed", str(probe.seed)),
        ("values", probe.kind),
        ("tolerance", repr(probe.tolerance)),
    ]
    for index, tensor in enumerate(manifest.inputs):
        pairs += _input(f"input.{index}", tensor, probe.batch)
    for index, (tensor, expected) in enumerate(_outputs(manifest)):
        pairs += _output(f"output.{index}", tensor, expected, tensor.name in manifest.whole_outputs)
    return "".join(f"{key}={_one_line(key, value, manifest)}\n" for key, value in pairs)


def _input(prefix: str, tensor: Tensor, batch: int) -> list[tuple[str, str]]:
    shape = [batch if size == -1 else size for size in tensor.shape]
    if math.prod(shape) > _VALUES_MAX:
        raise InputRefused(
            f"input {tensor.name!r} of shape {shape} has more than {_VALUES_MAX} values;"
            " export it with a smaller input"
        )
    return [
        (f"{prefix}.name", tensor.name),
        (f"{prefix}.shape", _numbers(shape)),
        (f"{prefix}.dtype", tensor.dtype),
        (f"{prefix}.layout", tensor.layout or "none"),
    ]


def _output(
    prefix: str, tensor: Tensor, expected: ProbeOutput, whole: bool
) -> list[tuple[str, str]]:
    return [
        (f"{prefix}.name", tensor.name),
        (f"{prefix}.shape", _numbers(expected.shape)),
        (f"{prefix}.dtype", tensor.dtype),
        (f"{prefix}.rms", repr(expected.rms)),
        # Not last: a file that lost it must be told.
        *([(f"{prefix}.whole", "true")] if whole else []),
        (f"{prefix}.values", _numbers(expected.values)),
    ]


def _outputs(manifest: Manifest) -> Iterable[tuple[Tensor, ProbeOutput]]:
    """Pair outputs with what the probe expects, in the artifact's own order."""
    expected = {output.name: output for output in manifest.probe.outputs}
    return [(tensor, expected[tensor.name]) for tensor in manifest.outputs]


def _numbers(values: Sequence[float]) -> str:
    return ",".join(map(repr, values))


def _one_line(key: str, value: str, manifest: Manifest) -> str:
    if any(character in value for character in "\n\r\0"):
        raise InputRefused(
            f"{key} of {manifest.artifact} holds a line break: {value!r}; rename it and export"
            " it again"
        )
    return value
