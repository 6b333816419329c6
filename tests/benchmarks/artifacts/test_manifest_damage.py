"""Manifests with seeded damage: refused, or the same in everything that a verdict rests on."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from damage import damaged_bytes, damaged_lines
from effort import seeds
from small_artifacts import copied, inspected

from cnn_export.artifact_files.inspection import Inspection
from cnn_export.benchmarks.artifacts.proven_artifact import proven_manifest
from cnn_export.benchmarks.artifacts.proven_file import artifact_record, require_agreement
from cnn_export.errors import InputRefused, ParityError
from cnn_export.manifest.manifest import Manifest, manifest_path, read_manifest

RUN_ID = "0123456789abcdef"
EXTREMES: tuple[Any, ...] = (
    *(0, -1, 1, 2**31, 2**63, 10**30, 1e308, -1e-308, 1e-5, 0.5),
    *(True, None, "", "x", "\x1b[2J", [], {}, [[]], "fp16", "tflite", "onnx"),
)


def places(document: Any, above: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path of every value in a JSON document."""
    found: list[tuple[Any, ...]] = []
    entries = enumerate(document) if isinstance(document, list) else document.items()
    for key, value in entries:
        found.append((*above, key))
        if isinstance(value, list | dict):
            found += places(value, (*above, key))
    return found


def damaged_fields(text: str, other: str, seed: int) -> str:
    """Set, delete or swap up to three values; some come from ``other``, an honest manifest."""
    dice = random.Random(seed)  # noqa: S311 - no secret
    document, foreign = json.loads(text), json.loads(other)
    for _ in range(dice.randint(1, 3)):
        *above, last = dice.choice(places(document))
        holder, twin = document, foreign
        for key in above:
            holder = holder[key]
            twin = twin[key] if _has(twin, key) else None
        match dice.randrange(4):
            case 0:
                del holder[last]
            case 1 if _has(twin, last):
                holder[last] = twin[last]
            case 2 if isinstance(holder[last], int | float):
                holder[last] *= dice.choice((-1, 0, 1.5, 2, 1e6, 1e-6))
            case _:
                holder[last] = dice.choice(EXTREMES)
    return json.dumps(document)


def _has(holder: Any, key: Any) -> bool:
    if isinstance(holder, list):
        return isinstance(key, int) and key < len(holder)
    return isinstance(holder, dict) and key in holder


def damaged(text: str, other: str, seed: int) -> bytes:
    match seed % 4:
        case 0:
            return damaged_bytes(text.encode(), seed)
        case 1:
            return damaged_lines(text, seed).encode()
        case _:
            return damaged_fields(text, other, seed).encode()


def read(artifact: Path, found: Inspection) -> tuple[Manifest | None, str]:
    """Return the manifest if it agrees with the file, else the refusal."""
    try:
        manifest = proven_manifest(artifact)
        require_agreement(artifact, manifest, found)
    except (InputRefused, ParityError) as error:
        return None, str(error)
    return manifest, ""


def strictness(manifest: Manifest) -> tuple[float, dict[str, tuple[int, int]]]:
    """What the probe in a worker holds outputs to: its tolerance, and how many values."""
    outputs = {each.name: (len(each.values), len(each.shape)) for each in manifest.probe.outputs}
    return manifest.probe.tolerance, outputs


@pytest.mark.parametrize("target", ["tflite", "executorch", "onnx", "coreml"])
def test_a_damaged_manifest_is_refused_or_means_the_same(
    target: str, whole: dict[str, Path], tmp_path: Path
) -> None:
    artifact = copied(whole[target], tmp_path)
    place = manifest_path(artifact)
    text = place.read_text()
    other = manifest_path(whole["onnx" if target == "tflite" else "tflite"]).read_text()
    honest, found = read_manifest(place), inspected(artifact)
    record = artifact_record(honest, found, artifact.name, RUN_ID)
    refusals = same = 0
    for seed in seeds(500):  # 2,000 over the four formats
        place.write_bytes(damaged(text, other, seed))
        manifest, refusal = read(artifact, found)
        if manifest is None:
            assert "\n" not in refusal
            assert artifact.name in refusal
            refusals += 1
            continue
        assert artifact_record(manifest, found, artifact.name, RUN_ID) == record
        tolerance, outputs = strictness(manifest)
        expected_tolerance, expected_outputs = strictness(honest)
        assert tolerance <= expected_tolerance
        assert outputs == expected_outputs
        assert manifest.inputs == honest.inputs
        assert manifest.approximation == honest.approximation
        same += 1
    assert refusals > same > 0
