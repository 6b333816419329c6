"""Export the forms of a network, and time them interleaved in one process."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path

from cnn_export.benchmarks.run.plan import interleaved
from cnn_export.benchmarks.runtimes.contract import Model
from cnn_export.benchmarks.runtimes.probe import probe_inputs, require_probe_outputs
from cnn_export.benchmarks.runtimes.runtime_registry import runtime_of
from cnn_export.benchmarks.worker.timing_loop import timed_inferences
from cnn_export.manifest.manifest import manifest_path, read_manifest

TARGETS = ("tflite", "onnx")
_THREADS = 1
_SEED = 20210711


def write(network: str, folder: Path) -> list[Path]:
    """Export every form that exists to both formats; loads torch and the converters."""
    from cnn_export import export
    from cnn_export.benchmarks.studies.reparam.networks import build, fused_by_timm

    module, image = build(network)
    fused = fused_by_timm(module)
    forms = {"naive": (module, False), "ours": (module, True), "timm": (fused, False)}
    paths: list[Path] = []
    for form, (source, reparam) in forms.items():
        if source is None:
            continue
        (folder / form).mkdir(parents=True)
        result = export(
            source, TARGETS, output=folder / form, example_inputs=(image,), reparam=reparam
        )
        paths += [artifact.path for artifact in result.artifacts]
    return paths


def interleave(paths: Sequence[Path], rounds: int, min_time_s: float) -> dict[str, list[float]]:
    """Return each artifact's median nanoseconds per round; all stay loaded, one runs at a time.

    Raises:
        ParityError: an artifact does not compute what its manifest records.
    """
    models = {path: _load(path) for path in paths}
    medians: dict[str, list[float]] = {str(path): [] for path in paths}
    for path in interleaved(paths, rounds, _SEED):
        (samples,) = timed_inferences(models[path].infer, min_time_s).series
        medians[str(path)].append(statistics.median(samples))
    return medians


def _load(path: Path) -> Model:
    manifest = read_manifest(manifest_path(path))
    names = [output.name for output in manifest.outputs]
    model = runtime_of(path).load(path, probe_inputs(manifest), names, _THREADS)
    model.infer()
    require_probe_outputs(manifest, model.outputs())
    return model
