"""An artifact in its runtime, proven to be the right file with the right outputs."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping
from pathlib import Path

from cnn_export.benchmarks.probe import probe_inputs, require_probe_outputs
from cnn_export.benchmarks.protocol import Hello
from cnn_export.benchmarks.proven_artifact import proven_manifest
from cnn_export.benchmarks.runtime import Model, Runtime
from cnn_export.benchmarks.runtime_arguments import arguments_of
from cnn_export.benchmarks.runtimes import runtime_of, runtime_version
from cnn_export.errors import InputRefused
from cnn_export.manifest import Manifest


@dataclasses.dataclass(frozen=True)
class LoadedArtifact:
    """The model, ready to run, and what there is to tell about its load."""

    hello: Hello
    model: Model


def load_checked(path: Path, threads: int, arguments: Mapping[str, str]) -> LoadedArtifact:
    """Load the proven file, run it once, and compare with the manifest's probe.

    ``arguments`` may hold other runtimes' too.

    Raises:
        InputRefused: artifact or manifest is missing, or the runtime cannot load it.
        ParityError: the file is not the proven one, or does not compute what was proven.
        TargetUnavailable: the runtime is not installed.
    """
    runtime = runtime_of(path)
    version = runtime_version(runtime)
    manifest = proven_manifest(path)
    own = arguments_of(runtime.package, arguments)
    model, load_ns = _load(runtime, path, manifest, threads, own)
    start = time.perf_counter_ns()
    model.infer()
    first_ns = time.perf_counter_ns() - start
    require_probe_outputs(manifest, model.outputs())
    hello = Hello(
        runtime=runtime.package,
        version=version,
        threads=threads,
        load_ns=load_ns,
        first_ns=first_ns,
    )
    return LoadedArtifact(hello, model)


def _load(
    runtime: Runtime, path: Path, manifest: Manifest, threads: int, arguments: Mapping[str, str]
) -> tuple[Model, int]:
    """Return the model and the nanoseconds of its load alone."""
    names = [output.name for output in manifest.outputs]
    runtime.import_package()
    inputs = probe_inputs(manifest)
    start = time.perf_counter_ns()
    try:
        model = runtime.load(path, inputs, names, threads, arguments)
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputRefused(f"{runtime.package} cannot load {path}: {reason}") from error
    return model, time.perf_counter_ns() - start
