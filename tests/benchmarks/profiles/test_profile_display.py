"""The table of a profile shows each operator's figures, and how near its roof it is."""

from __future__ import annotations

import pytest

from cnn_export.benchmarks.profiles.display import show
from cnn_export.benchmarks.profiles.document import OpTime, Profile, Roofline


def _op(name: str, macs: int | None, mac_bytes: int | None) -> OpTime:
    return OpTime(
        name=name,
        kind="Conv",
        covers=[name],
        median_ns=1000.0,
        share=0.5,
        macs=macs,
        mac_bytes=mac_bytes,
    )


def test_an_operator_without_a_cost_has_no_share_of_the_roof(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """100,000 MACs in a microsecond are 100 GMAC/s: a quarter of the roof."""
    profile = Profile(
        artifact="net.onnx",
        artifact_sha256="c" * 64,
        runtime="onnxruntime",
        runtime_version="1",
        threads=1,
        inferences=3,
        sum_ns=2000.0,
        ops=[_op("costed", 100_000, 1000), _op("unknown", None, None)],
        untimed=[],
        notes=[],
        roofline=Roofline(mac_per_s=4e11, bytes_per_s=2e10, kernel="k"),
    )
    show(profile, None)
    lines = capsys.readouterr().out.splitlines()
    costed, unknown = (
        next(line for line in lines if line.startswith(name)) for name in ("costed", "unknown")
    )
    assert costed.split()[2:] == [
        "0.00100",
        "50.0",
        "%",
        "100000",
        "1000",
        "100",
        "1.00",
        "25",
        "%",
    ]
    assert unknown.split()[2:] == ["0.00100", "50.0", "%", "-", "-", "-", "-", "-"]
