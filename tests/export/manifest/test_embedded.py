"""What an artifact holds of its manifest, and the refusal where the two contradict each other."""

from __future__ import annotations

import json
from typing import Any

import pytest
from test_manifest import document

from cnn_export.errors import InputRefused
from cnn_export.manifest import consistency
from cnn_export.manifest.embedded import metadata, require_same_story
from cnn_export.manifest.manifest import Manifest
from cnn_export.proof import tolerances

APPROXIMATION = {
    "identity_tensor_multiplier": "1/2",
    "trained_with": "1",
    "shortcuts": ["add"],
    "drift": [],
}


def manifest(**changes: Any) -> Manifest:
    return Manifest.model_validate(document() | changes)


def embedded(of: Manifest) -> dict[str, str]:
    return metadata(
        producer=of.producer,
        source=of.source,
        precision=of.precision,
        layout="nchw",
        inputs=of.inputs,
        outputs=of.outputs,
        target=of.target,
        macs=of.macs,
        parameter_bytes=of.parameter_bytes,
        approximation=of.approximation,
        accepted=of.parity.accepted,
    )


@pytest.mark.parametrize("changes", [{}, {"approximation": APPROXIMATION}])
def test_what_was_written_together_agrees(changes: dict[str, Any]) -> None:
    of = manifest(**changes)
    foreign = {"min_runtime_version": "1.14.0", "input_names": '["image"]'}
    require_same_story(of, embedded(of) | foreign)


@pytest.fixture(autouse=True)
def _limits_of_any_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    wide = tolerances.Tolerance(1e-5, 0.25, 4.0, "any")
    table = dict.fromkeys(tolerances.TOLERANCES, wide)
    monkeypatch.setattr(consistency, "TOLERANCES", table)


def changed(path: str, value: Any) -> Manifest:
    """Return the manifest with one field changed, as someone would edit it."""
    content: Any = document()
    holder: Any = content
    *folders, last = path.split(".")
    for name in folders:
        holder = holder[int(name) if name.isdecimal() else name]
    holder[last] = value
    return Manifest.model_validate(content)


CHANGES: dict[str, tuple[Any, str]] = {
    "producer": ("cnn-export 9", "producer 'cnn-export 9', the file itself 'cnn-export 0.1.0'"),
    "precision": ("fp16", "precision 'fp16', the file itself 'fp32'"),
    "macs": (5, "macs 5, the file itself 1000000000000"),
    "parameter_bytes": (6, "parameter_bytes 6, the file itself 5"),
    "source.model": ("resnet18", "model 'resnet18', the file itself 'mobilenet_v2'"),
    "source.sha256": ("0f" * 32, "source_sha256 '0f0f"),
    "source.container": ("ema", "container 'ema', the file itself 'state_dict'"),
    "source.arguments": ({}, "arguments {}, the file itself {'width_mult': '0.5'}"),
    "inputs.0.name": ("mask", "inputs [{"),
    "inputs.0.shape": ([-1, 3, 13, 19], "inputs [{"),
    "inputs.0.normalization": (None, "inputs [{"),
    "outputs.0.dtype": ("int64", "outputs [{"),
    "approximation": (APPROXIMATION, "approximation 'identity_tensor_multiplier=1/2', the file"),
}


@pytest.mark.parametrize("path", CHANGES)
def test_a_changed_field_is_named_with_both_values(path: str) -> None:
    value, words = CHANGES[path]
    of = changed(path, value)
    with pytest.raises(InputRefused) as caught:
        require_same_story(of, embedded(manifest()))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_approximation_cannot_be_left_out() -> None:
    """The file computes another function than the checkpoint's; its manifest has to say so."""
    approximated = embedded(manifest(approximation=APPROXIMATION))
    with pytest.raises(InputRefused, match="says approximation 'nothing'"):
        require_same_story(manifest(), approximated)


def test_an_accepted_error_cannot_be_left_out() -> None:
    """The file is not proven; its manifest has to say so."""
    content = document()
    content["parity"]["figures"][0].update(max_abs_error=0.001, relative_error=0.004)
    content["parity"]["accepted"] = 0.005
    accepted = Manifest.model_validate(content)
    require_same_story(accepted, embedded(accepted))
    with pytest.raises(
        InputRefused, match=r"accepted 'nothing', the file itself 'tolerance=0\.005'"
    ):
        require_same_story(manifest(), embedded(accepted))
    with pytest.raises(
        InputRefused, match=r"accepted 'tolerance=0\.005', the file itself 'nothing'"
    ):
        require_same_story(accepted, embedded(manifest()))


def test_a_file_that_says_nothing_is_none_of_ours() -> None:
    with pytest.raises(InputRefused, match=r"does not hold its 'inputs', as every file of cnn-exp"):
        require_same_story(manifest(), {})
    require_same_story(manifest(producer="another tool 3"), {})


def test_files_of_older_versions_lack_the_newer_pairs() -> None:
    older = embedded(manifest())
    del older["manifest"]
    require_same_story(manifest(), older)
    with pytest.raises(InputRefused, match="precision"):
        require_same_story(manifest(), older | {"precision": "fp16"})


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "null", "[1]", '{"macs": NaN}'])
def test_metadata_of_unknown_origin(text: str) -> None:
    with pytest.raises(InputRefused, match="says"):
        require_same_story(manifest(), embedded(manifest()) | {"manifest": text})


def test_no_figure_of_a_machine_is_inside() -> None:
    """Probe values and errors differ in their last digits between machines; bytes must not."""
    told = json.loads(embedded(manifest())["manifest"])
    assert sorted(told) == [
        "arguments",
        "container",
        "macs",
        "outputs",
        "parameter_bytes",
        "target",
    ]
