"""The probe's numbers in Java against Python's, byte by byte."""

from __future__ import annotations

import itertools
import subprocess
from pathlib import Path

import numpy as np
import pytest
from build_tools.jvm.unit_tests import JavaTests
from jvm_platform import needs_linux

from cnn_export.proof.splitmix64 import probe_values

pytestmark = needs_linux

DTYPES = ["float32", "float16", "float64", "int8", "int16", "int32", "int64", "uint8", "bool"]
SEEDS = [0, 1, 20210711, 2**63, 2**64 - 300]
SHAPE = (2, 3, 4, 5)
HEAD = (
    "protocol=3\nname=n\nsha256={}\nruntime=onnxruntime\nseed={}\nvalues={}\ntolerance=1\n"
    "output.0.name=o\noutput.0.shape=1\noutput.0.dtype=float32\noutput.0.rms=1\n"
    "output.0.values=1\n"
)


def _probe_text(seed: int, kind: str, layouts: list[str], dtypes: list[str]) -> str:
    text = HEAD.format("0" * 64, seed, kind)
    for index, (layout, dtype) in enumerate(zip(layouts, dtypes, strict=True)):
        shape = [SHAPE[axis] for axis in (0, 2, 3, 1)] if layout == "nhwc" else SHAPE
        text += f"input.{index}.name=i{index}\ninput.{index}.layout={layout}\n"
        text += f"input.{index}.shape={','.join(map(str, shape))}\ninput.{index}.dtype={dtype}\n"
    return text


def _expected(seed: int, kind: str, layout: str, dtype: str) -> bytes:
    drawn = probe_values(seed, int(np.prod(SHAPE)), np.dtype(dtype), kind).reshape(SHAPE)  # type: ignore[arg-type]
    return (drawn.transpose(0, 2, 3, 1) if layout == "nhwc" else drawn).tobytes()


@pytest.fixture(scope="module")
def dumped(java: JavaTests, tmp_path_factory: pytest.TempPathFactory) -> dict[object, bytes]:
    """What Java makes of every seed, kind and layout, all dtypes after one another; one process."""
    folder = tmp_path_factory.mktemp("probes")
    arguments: list[str] = []
    files: dict[object, Path] = {}
    cases = itertools.product(SEEDS, ("unit", "pixel"), ("nchw", "nhwc", "none"))
    for number, (seed, kind, layout) in enumerate(cases):
        probe, out = folder / f"{number}.probe", folder / f"{number}.bin"
        probe.write_text(_probe_text(seed, kind, [layout] * len(DTYPES), DTYPES))
        arguments += [str(probe), str(out)]
        files[seed, kind, layout] = out
    subprocess.run(java.main("probe.DumpInputs", *arguments), check=True, timeout=60)
    return {case: file.read_bytes() for case, file in files.items()}


@pytest.mark.parametrize("layout", ["nchw", "nhwc", "none"])
@pytest.mark.parametrize("kind", ["unit", "pixel"])
@pytest.mark.parametrize("seed", SEEDS)
def test_java_draws_what_python_draws(
    dumped: dict[object, bytes], seed: int, kind: str, layout: str
) -> None:
    """Input ``i`` is drawn from ``seed + i``."""
    expected = [_expected(seed + index, kind, layout, dtype) for index, dtype in enumerate(DTYPES)]
    assert dumped[seed, kind, layout] == b"".join(expected)
