"""Artifacts with seeded damage: read or refused in one line, and never taken for the proven file.

The damage goes to each format's readers in this process, a share of it through the process with
limits, the commands, and the runtimes themselves.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from cost_networks import cost_here, metadata_here
from damage import damaged_bytes
from effort import THOROUGH, seeds
from small_artifacts import copied, inspected, members

from cnn_export.benchmarks.artifacts.proven_artifact import proven_manifest
from cnn_export.benchmarks.cli import main
from cnn_export.benchmarks.devices.contract import Job
from cnn_export.benchmarks.devices.host.host import HostDevice
from cnn_export.benchmarks.runtimes.probe import probe_inputs
from cnn_export.errors import InputRefused, ParityError
from cnn_export.manifest.manifest import manifest_path, read_manifest
from cnn_export.targets import TARGETS, load_target
from cnn_export.untrusted.artifact_digest import artifact_digest

BOUNDED = range(200 if THOROUGH else 5)
RUN = range(200 if THOROUGH else 8)
NEAR = 0.02
"""Of the RMS: a probe that keeps 16 values and the RMS may miss less than this elsewhere."""
HOST_TARGETS = ("onnx", "tflite", "executorch")


def damage(artifact: Path, honest: Path, seed: int) -> None:
    """Damage one file of a copy of ``honest``, the others being whole."""
    files, originals = members(artifact), members(honest)
    for file, original in zip(files, originals, strict=True):
        file.write_bytes(original.read_bytes())
    place = seed % len(files)
    files[place].write_bytes(damaged_bytes(originals[place].read_bytes(), seed))


def refused(artifact: Path, reader: object) -> bool:
    """Whether ``reader`` refuses, in one line that names the file; anything else fails the test."""
    assert callable(reader)
    try:
        reader(artifact)
    except InputRefused as error:
        text = str(error)
        assert text.startswith(str(artifact)), text
        assert "\n" not in text
        return True
    return False


@pytest.mark.parametrize("target", list(TARGETS))
def test_readers_read_or_refuse(target: str, whole: dict[str, Path], tmp_path: Path) -> None:
    artifact = copied(whole[target], tmp_path)
    found = 0
    for seed in seeds():
        damage(artifact, whole[target], seed)
        with pytest.raises(ParityError, match="not the file its manifest was written for"):
            proven_manifest(artifact)
        found += refused(artifact, cost_here)
        refused(artifact, metadata_here)
    assert 0 < found < len(seeds())


@pytest.mark.parametrize("target", list(TARGETS))
def test_the_process_with_limits_reads_or_refuses(
    target: str, whole: dict[str, Path], tmp_path: Path
) -> None:
    artifact = copied(whole[target], tmp_path)
    honest = inspected(artifact)
    assert honest.split is not None
    for seed in BOUNDED:
        damage(artifact, whole[target], seed)
        refused(artifact, inspected)
    artifact = copied(whole[target], tmp_path)
    weights = next(f for f in members(artifact) if f.suffix in (".bin", artifact.suffix))
    weights.write_bytes(doubled_weights(weights.read_bytes()))
    assert inspected(artifact).split == honest.split  # other weights are no damage to a reader


def rehashed(artifact: Path) -> None:
    """Write the manifest that a careful attacker writes: of the damaged bytes."""
    place = manifest_path(artifact)
    manifest = json.loads(place.read_text())
    manifest["artifact_sha256"], manifest["artifact_bytes"] = artifact_digest(artifact)
    place.write_text(json.dumps(manifest))


@pytest.mark.parametrize("target", list(TARGETS))
def test_commands_end_in_one_line(
    target: str, whole: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    artifact = copied(whole[target], tmp_path)
    budgets = tmp_path / "budgets.toml"
    budgets.write_text("[[budget]]\nmacs = 1000000\npartitions = 5\n")
    for seed in BOUNDED[:2]:
        damage(artifact, whole[target], seed)
        rehashed(artifact)
        gate = ["gate", "--artifact", str(artifact), "--budgets", str(budgets)]
        for words in (["cost", str(artifact)], gate):
            code = main(words)
            err = capsys.readouterr().err
            assert code in (0, 4, 11), err
            assert err.count("\n") == 1 or code != 4, err


@pytest.mark.parametrize("target", HOST_TARGETS)
def test_runtimes_compute_what_was_proven_or_nothing(
    target: str, whole: dict[str, Path], tmp_path: Path
) -> None:
    """The hash is right, so only loading and the probe can tell."""
    artifact = copied(whole[target], tmp_path)
    honest = computed(artifact, target)
    for seed in RUN if THOROUGH else RUN[: len(RUN) // len(HOST_TARGETS)]:
        damage(artifact, whole[target], seed)
        rehashed(artifact)
        reason = run_or_reason(artifact)
        assert "\n" not in reason
        assert reason or distance(computed(artifact, target), honest) < NEAR
    artifact.write_bytes(doubled_weights(whole[target].read_bytes()))
    rehashed(artifact)
    assert distance(computed(artifact, target), honest) > NEAR
    assert "off by" in run_or_reason(artifact)


def doubled_weights(content: bytes) -> bytes:
    """Double the longest run of float32 of ordinary size: weights, wherever a format keeps them."""
    runs: list[tuple[int, int]] = []
    for first in range(4):
        values = np.frombuffer(content[first : first + (len(content) - first) // 4 * 4], "<f4")
        ordinary = (np.abs(values) > 1e-4) & (np.abs(values) < 10)
        edges = np.flatnonzero(np.diff(np.concatenate([[0], ordinary.astype(int), [0]])))
        runs += [(4 * int(b - a), first + 4 * int(a)) for a, b in edges.reshape(-1, 2)]
    size, place = max(runs)
    size, place = size - 64, place + 32  # what stands beside weights may look like one
    assert size >= 64
    doubled = (np.frombuffer(content, "<f4", size // 4, place) * 2).astype("<f4").tobytes()
    return content[:place] + doubled + content[place + size :]


def computed(artifact: Path, target: str) -> dict[str, np.ndarray]:
    """Return all outputs on the manifest's probe, by the exporter's session: not what times."""
    manifest = read_manifest(manifest_path(artifact))
    return dict(load_target(target).load(artifact)(probe_inputs(manifest)))


def distance(found: dict[str, np.ndarray], honest: dict[str, np.ndarray]) -> float:
    """Return the largest error over all outputs, in units of each one's RMS."""
    assert {name: value.shape for name, value in found.items()} == {
        name: value.shape for name, value in honest.items()
    }
    errors = (
        np.abs(found[name] - value).max() / np.sqrt(np.mean(value**2))
        for name, value in honest.items()
    )
    return float(max(errors))


def run_or_reason(artifact: Path) -> str:
    """Return why the artifact was not measured, if it was not; nothing else may be raised."""
    try:
        HostDevice(patience_s=120).run(Job("time", (artifact,), 1, 0.01))
    except (InputRefused, ParityError) as error:
        return str(error)
    return ""


def test_a_weight_that_was_changed_is_told_by_the_probe(
    whole: dict[str, Path], tmp_path: Path
) -> None:
    artifact = copied(whole["onnx"], tmp_path)
    import onnx

    model = onnx.load(artifact)
    weight = onnx.numpy_helper.to_array(model.graph.initializer[0]).copy()
    weight *= 1.5
    name = model.graph.initializer[0].name
    model.graph.initializer[0].CopyFrom(onnx.numpy_helper.from_array(weight, name))
    onnx.save(model, artifact)
    with pytest.raises(ParityError, match="not the file its manifest was written for"):
        proven_manifest(artifact)
    rehashed(artifact)
    with pytest.raises(ParityError, match="off by"):
        HostDevice().run(Job("time", (artifact,), 1, 0.01))
