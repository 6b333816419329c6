"""An artifact in its runtime, proven to be the right file with the right outputs."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Generator, Mapping
from pathlib import Path

from cnn_export.benchmarks.artifacts.proven_artifact import proven_manifest
from cnn_export.benchmarks.results.protocol import Hello
from cnn_export.benchmarks.runtimes.contract import Model, Runtime
from cnn_export.benchmarks.runtimes.probe import (
    probe_inputs,
    require_its_device,
    require_probe_outputs,
)
from cnn_export.benchmarks.runtimes.runtime_arguments import arguments_of
from cnn_export.benchmarks.runtimes.runtime_registry import runtime_of, runtime_version
from cnn_export.errors import ExportError, InputRefused, one_line
from cnn_export.manifest.manifest import Manifest

_REASON_LENGTH = 240


@dataclasses.dataclass(frozen=True)
class LoadedArtifact:
    """The model, ready to run, and what there is to tell about its load."""

    hello: Hello
    model: Model


def load_checked(path: Path, threads: int, arguments: Mapping[str, str]) -> LoadedArtifact:
    """Load the proven file, run it once, and compare with the manifest's probe.

    ``arguments`` may hold other runtimes' too.

    Raises:
        InputRefused: artifact or manifest is missing, the file is for another processor, or the
            runtime cannot load or run it.
        ParityError: the file is not the proven one, or does not compute what was proven.
        TargetUnavailable: the runtime is not installed.
    """
    runtime = runtime_of(path)
    version = runtime_version(runtime)
    manifest = proven_manifest(path)
    require_its_device(manifest)
    own = arguments_of(runtime.package, arguments)
    model, load_ns = _load(runtime, path, manifest, threads, own)
    with refusing_failures(runtime.package, "run", path):
        start = time.perf_counter_ns()
        model.infer()
        first_ns = time.perf_counter_ns() - start
        outputs = model.outputs()
    require_probe_outputs(manifest, outputs)
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
    with refusing_failures(runtime.package, "load", path):
        start = time.perf_counter_ns()
        model = runtime.load(path, inputs, names, threads, arguments)
        return model, time.perf_counter_ns() - start


@contextlib.contextmanager
def refusing_failures(package: str, doing: str, *paths: Path) -> Generator[None]:
    """Turn whatever a runtime raises over an artifact, or over one of two, into one refusal.

    Raises:
        InputRefused: names the runtime, the files and the runtime's reason.
    """
    try:
        yield
    except ExportError:
        raise
    except Exception as error:  # a vendor's runtime raises what it likes
        files = " or ".join(map(str, paths))
        reason = one_line(error, _REASON_LENGTH)
        raise InputRefused(f"{package} cannot {doing} {files}: {reason}") from error
