"""An artifact and its manifest, where each bears out the other, and the record made of both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path

from pydantic import ValidationError

from cnn_export.artifact_files.formats import PLANNED
from cnn_export.artifact_files.inspection import Inspection, inspect
from cnn_export.artifact_files.partition_report import PartitionReport
from cnn_export.benchmarks.artifacts.proven_artifact import proven_manifest
from cnn_export.benchmarks.cost.artifact_cost import ArtifactCost
from cnn_export.benchmarks.cost.reading import cost_of
from cnn_export.benchmarks.machine.host_info import memory_bytes
from cnn_export.benchmarks.results import record_types
from cnn_export.errors import InputRefused
from cnn_export.manifest.embedded import require_same_story
from cnn_export.manifest.fields import Partitions, Tensor
from cnn_export.manifest.manifest import Manifest, not_proven, wrong_field
from cnn_export.manifest.quantization_fields import (
    ACCURACY_LOST,
    ACCURACY_OF_ARTIFACT,
    ACCURACY_OF_FP32,
    EARLIER_ACCURACY_OF_ARTIFACT,
    Accuracy,
)

_PLANNER = "ai-edge-litert"
"""Plans a ``.tflite``'s partitions when it loads it: of another version, it may plan others."""


_SHARES = {ACCURACY_OF_FP32, ACCURACY_OF_ARTIFACT, EARLIER_ACCURACY_OF_ARTIFACT}

_PLANNING_SHARE = 0.5
"""Of this host's memory, at most: what planning partitions may allocate for activations."""


def proven_files(paths: Sequence[Path]) -> list[tuple[Manifest, Inspection]]:
    """Return the manifest of each of ``paths`` and what the file itself says, which agree.

    Where partitions cannot be planned here, or a file is not proven equal to its checkpoint, a line
    on stderr says so.

    Raises:
        InputRefused: artifact or manifest is missing, damaged, no regular file or hostile, or they
            contradict each other; names the field and both values.
        ParityError: a file is not the one its manifest was written for.
        TargetUnavailable: what reads the format is not installed.
    """
    manifests = [proven_manifest(path) for path in paths]
    inspections = inspect(paths, int(memory_bytes() * _PLANNING_SHARE))
    for path, manifest, found in zip(paths, manifests, inspections, strict=True):
        require_agreement(path, manifest, found)
        _warn_of(manifest, found)
    return list(zip(manifests, inspections, strict=True))


def _warn_of(manifest: Manifest, found: Inspection) -> None:
    from cnn_export.command_line.console import warn

    if found.unplanned is not None:
        warn(f"{found.unplanned}; the manifest's are taken")
    if accepted := not_proven(manifest):
        warn(accepted)


def require_agreement(path: Path, manifest: Manifest, found: Inspection) -> None:
    """Check that the manifest says nothing else than the file.

    Raises:
        InputRefused: names the field and both values.
    """
    require_same_story(manifest, found.metadata)
    planned_alike = path.suffix != PLANNED or _plans_alike(manifest.versions)
    if found.split is not None and planned_alike:
        _require_same_split(path, manifest.partitions, found.split)


def artifact_record(
    manifest: Manifest, found: Inspection, name: str, run_id: str
) -> record_types.Artifact:
    """Return what a results file says of an artifact; figures are the file's where it has them.

    Raises:
        InputRefused: a figure is beyond what results hold; names it.
    """
    try:
        return record_types.Artifact.model_validate(_record(manifest, found, name, run_id))
    except ValidationError as error:
        raise InputRefused(f"{name}: results cannot hold {wrong_field(error)}") from error


def _record(manifest: Manifest, found: Inspection, name: str, run_id: str) -> dict[str, object]:
    split = found.split or manifest.partitions
    cost = _cost(found, name)
    return {
        "run_id": run_id,
        "sha256": manifest.artifact_sha256,
        "name": name,
        "model": manifest.source.model,
        "target": manifest.target,
        "precision": manifest.precision,
        "file_bytes": manifest.artifact_bytes,
        "macs": cost and cost.macs,
        "mac_bytes": cost and cost.mac_bytes,
        "delegate": split.delegate,
        "partitions": split.partitions,
        "ops_outside": sum(outside.count for outside in split.outside),
        "accuracy": _accuracy(manifest),
        "accepted": manifest.parity.accepted,
        "source": {
            "sha256": manifest.source.sha256,
            "arguments": manifest.source.arguments,
            "inputs": [_sample_sizes(each) for each in manifest.inputs],
            "approximated": manifest.approximation is not None,
        },
    }


def _sample_sizes(tensor: Tensor) -> list[int]:
    sizes = tensor.shape[1:]
    return [*sizes[-1:], *sizes[:-1]] if tensor.layout == "nhwc" else sizes


def _accuracy(manifest: Manifest) -> list[dict[str, object]]:
    """Return the figures that decided, none where nothing did; never measured again here.

    With what was lost of true classes, both shares that it is the difference of.
    """
    record = manifest.quantization
    if record is None:
        return []
    lost = {each.output for each in record.accuracy if _is_bound(each, ACCURACY_LOST)}
    return [
        each.model_dump()
        for each in record.accuracy
        if each.bound is not None or (each.output in lost and each.figure in _SHARES)
    ]


def _is_bound(figure: Accuracy, name: str) -> bool:
    return figure.figure == name and figure.bound is not None


def _cost(found: Inspection, name: str) -> ArtifactCost | None:
    """Return the cost, ``None`` where operators cannot be told or make no sense together."""
    if found.graph is None:
        return None
    try:
        return cost_of(found.graph, Path(name))
    except InputRefused:
        return None


def _plans_alike(versions: Mapping[str, str]) -> bool:
    recorded = versions.get(_PLANNER)
    return recorded is None or recorded == metadata.version(_PLANNER)


def _require_same_split(path: Path, said: Partitions, found: PartitionReport) -> None:
    pairs = (
        ("partitions", said.partitions, found.partitions),
        ("delegated operators", said.delegated_ops, found.delegated_ops),
        (
            "operators outside",
            {each.op: each.count for each in said.outside},
            {each.op: each.count for each in found.outside},
        ),
    )
    for what, ours, theirs in pairs:
        if ours != theirs:
            raise InputRefused(
                f"the manifest of {path} says {what} {ours}, the file itself {theirs}; export again"
            )
