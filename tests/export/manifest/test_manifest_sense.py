"""A manifest whose parts contradict each other is refused, and the contradiction is named."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from test_manifest import document, refusal, written

from cnn_export.errors import InputRefused
from cnn_export.manifest.manifest import read_manifest

Change = Callable[[dict[str, Any]], object]


def _figure(**fields: float | str) -> Change:
    return lambda d: d["parity"]["figures"][0].update(fields)


def _output(**fields: object) -> Change:
    return lambda d: d["probe"]["outputs"][0].update(fields)


def _split(**fields: int) -> Change:
    return lambda d: d["partitions"].update(fields)


def _as_tflite(d: dict[str, Any]) -> None:
    d.update(artifact="net.tflite", target="tflite")
    d["partitions"].update(delegate="XNNPACK")


def _tflite_split(d: dict[str, Any]) -> None:
    _as_tflite(d)
    _split(partitions=8)(d)


def _accepted(value: float, error: float = 0.004, limit: float = 1e-5) -> Change:
    def change(d: dict[str, Any]) -> None:
        _figure(relative_error=error, max_abs_error=error * 0.25, limit=limit)(d)
        d["parity"]["accepted"] = value

    return change


def _accepted_integers(d: dict[str, Any]) -> None:
    _accepted(0.005)(d)
    d["precision"] = "int8"
    d["probe"]["tolerance"] = 0.005


CONTRADICTIONS: dict[str, tuple[Change, str]] = {
    "accepted, and proven": (_accepted(0.005, 4e-7), "is accepted, but every figure is proven"),
    "more than was accepted": (_accepted(0.003), "over its limit"),
    "whole numbers that differ": (_accepted(0.005, limit=0.0), "over its limit"),
    "accepted integers": (_accepted_integers, "must be equal to its integers"),
    "an absurd acceptance": (_accepted(0.3), "parity.accepted: "),
    "no acceptance": (_accepted(0.0), "parity.accepted: "),
    "another format's target": (lambda d: d.update(target="tflite"), "is no .tflite file"),
    "a target that is none": (lambda d: d.update(target="ncnn"), "target: "),
    "a name with a folder": (lambda d: d.update(artifact="../net.onnx"), "artifact: "),
    "an empty artifact": (lambda d: d.update(artifact_bytes=0), "artifact_bytes: "),
    "negative macs": (lambda d: d.update(macs=-1), "macs: "),
    "macs that are true": (lambda d: d.update(macs=True), "macs: "),
    "macs as text": (lambda d: d.update(macs="5"), "macs: "),
    "absurd macs": (lambda d: d.update(macs=10**30), "macs: "),
    "negative parameters": (lambda d: d.update(parameter_bytes=-4), "parameter_bytes: "),
    "negative partitions": (_split(partitions=-1), "partitions.partitions: "),
    "a whole format in parts": (_split(partitions=2), "one partition, not 2"),
    "partitions of nothing": (_tflite_split, "8 partitions hold 7 operators"),
    "no operators outside": (
        lambda d: d["partitions"]["outside"][0].update(count=0),
        "partitions.outside.0.count: ",
    ),
    "negative rewrites": (lambda d: d["passes"][0].update(rewrites=-3), "passes.0.rewrites: "),
    "no inputs": (lambda d: d.update(inputs=[]), "inputs: "),
    "two inputs of one name": (
        lambda d: d.update(inputs=d["inputs"] * 2),
        "not told apart by name",
    ),
    "an open size behind the batch": (
        lambda d: d["inputs"][0].update(shape=[1, 3, -1, 18]),
        "open beyond its batch",
    ),
    "another batch": (
        lambda d: d["inputs"][0].update(shape=[4, 3, 13, 18]),
        "probe.batch is 1, the inputs' is 4",
    ),
    "a deviation of nothing": (
        lambda d: d["inputs"][0]["normalization"]["std"].__setitem__(0, 0.0),
        "inputs.0.normalization.std.0: ",
    ),
    "fewer deviations than means": (
        lambda d: d["inputs"][0]["normalization"]["std"].pop(),
        "3 means and 2 standard deviations",
    ),
    "no figures": (lambda d: d["parity"].update(figures=[]), "parity.figures: "),
    "figures of another output": (_figure(output="other"), "is of no output"),
    "an output without a figure": (
        lambda d: (
            d["outputs"].append({**d["outputs"][0], "name": "second"}),
            d["probe"]["outputs"].append({**d["probe"]["outputs"][0], "name": "second"}),
        ),
        "'second' was proven",
    ),
    "a negative error": (_figure(relative_error=-4e-7), "parity.figures.0.relative_error: "),
    "an error over its limit": (
        _figure(max_abs_error=1e-5, relative_error=4e-5),
        "over its limit 1e-05",
    ),
    "a limit that no tolerance gives": (_figure(limit=1e308), "1e+308; onnx fp32 is judged by"),
    "a limit below any": (_figure(limit=1e-9), "judged by 1e-05 to 0.0005"),
    "an error that is not the RMS's": (_figure(rms=0.5), "over an RMS of 0.5"),
    "a probe that anything passes": (
        lambda d: d["probe"].update(tolerance=1e308),
        "probe.tolerance is 1e+308",
    ),
    "a probe that more passes than the proof": (
        lambda d: d["probe"].update(tolerance=2e-5),
        "probe.tolerance is 2e-05, the proof on that probe had none",
    ),
    "another delegate": (
        lambda d: d["partitions"].update(delegate="XNNPACK"),
        "'XNNPACK' is no delegate of onnx files",
    ),
    "a probe of nothing": (lambda d: d["probe"].update(outputs=[]), "probe.outputs: "),
    "a probe of another output": (_output(name="other"), "probe.outputs are ['other']"),
    "a probe of another shape": (_output(shape=[1, 1, 2]), "has shape [1, 1, 2], the output"),
    "a probe without values": (_output(values=[]), "probe.outputs.0.values: "),
    "a probe of fewer values": (_output(values=[0.1]), "has 1 values, not 2"),
    "a probe of more values": (_output(values=[0.1, 0.1, 0.1]), "has 3 values, not 2"),
    "an RMS below its values": (_output(rms=0.01), "that an RMS of 0.01 does not fit"),
    "an RMS above its values": (_output(rms=1.0), "that an RMS of 1 does not fit"),
    "a negative RMS": (_output(rms=-0.07), "probe.outputs.0.rms: "),
    "values whose squares overflow": (_output(values=[1e300, 0.0]), "does not fit"),
    "a drift that is not the RMS's": (
        lambda d: d.update(
            approximation={
                "identity_tensor_multiplier": "1/2",
                "trained_with": "1",
                "shortcuts": ["add"],
                "drift": [
                    {
                        "probe": "normal",
                        "output": "map",
                        "max_abs_error": 1.0,
                        "relative_error": 0.1,
                        "rms": 1.0,
                    }
                ],
            }
        ),
        "the drift of 'map'",
    ),
}


@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_a_contradiction_is_named(name: str, tmp_path: Path) -> None:
    change, words = CONTRADICTIONS[name]
    content = document()
    change(content)
    assert words in refusal(written(tmp_path, content))


def test_a_field_that_stands_twice_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, document())
    path.write_text(path.read_text().replace('"macs": 1', '"macs": 5, "macs": 1'))
    assert "field 'macs' stands twice" in refusal(path)


@pytest.mark.parametrize("content", ["[" * 100_000, '{"macs": ' + "9" * 10_000 + "}"])
def test_what_readers_of_json_stumble_over(content: str, tmp_path: Path) -> None:
    path = tmp_path / "net.onnx.manifest.json"
    path.write_text(content)
    assert "not a valid manifest" in refusal(path)


def test_a_pipe_or_a_device_is_no_manifest(tmp_path: Path) -> None:
    """Opening the one would wait for a writer, reading the other never end."""
    pipe, device = tmp_path / "net.onnx.manifest.json", tmp_path / "zero.manifest.json"
    os.mkfifo(pipe)
    device.symlink_to("/dev/zero")
    assert "is a pipe" in refusal(pipe)
    assert "is a device" in refusal(device)


def test_names_of_unknown_origin_are_shown_escaped(tmp_path: Path) -> None:
    content = document()
    content["parity"]["figures"][0]["output"] = "\x1b[2J"
    with pytest.raises(InputRefused, match=r"\\x1b\[2J"):
        read_manifest(written(tmp_path, content))


def test_a_delegate_that_takes_nothing_is_allowed(tmp_path: Path) -> None:
    content = document()
    _as_tflite(content)
    _split(partitions=0, delegated_ops=0)(content)
    path = tmp_path / "net.tflite.manifest.json"
    path.write_text(json.dumps(content))
    assert read_manifest(path).partitions.partitions == 0
