"""The Java side, built when it is first needed, and artifacts for it to run.

Nothing here skips because something is not installed: the build's line says what to install.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import networks
import pytest
import torch
from build_tools.jvm.unit_tests import JavaTests, build_tests
from build_tools.tools import install_tools

from cnn_export import export
from cnn_export.benchmarks.devices.adb.app.probe_file import probe_file
from cnn_export.benchmarks.runtimes.runtime_registry import runtime_of
from cnn_export.job.api import Settings
from cnn_export.manifest.manifest import manifest_path, read_manifest


@pytest.fixture(scope="session")
def tools() -> None:
    """Everything that the builds call; as root what is missing is installed."""
    install_tools()


@pytest.fixture(scope="session")
def java(tools: None) -> JavaTests:
    """The app's classes for the JVM, and their tests."""
    return build_tests()


@pytest.fixture(scope="session")
def models(shipped: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with exported artifacts, each with its probe file beside it.

    A trained network for both runtimes; a small one, not square and with two outputs, for what is
    out of the ordinary.
    """
    folder = tmp_path_factory.mktemp("models")
    small = folder / "small.pt"
    torch.save(networks.small_net().state_dict(), small)
    for suffix in ("onnx", "tflite"):
        artifact = shipped / f"skipnet_digits.{suffix}"
        shutil.copyfile(artifact, folder / f"net.{suffix}")
        shutil.copyfile(manifest_path(artifact), manifest_path(folder / f"net.{suffix}"))
    other: Settings = {"model": "networks:SmallNet", "input_size": (8, 12)}
    export(small, target="tflite", output=folder / "nhwc.tflite", layout="nhwc", **other)
    export(small, target="onnx", output=folder / "batch.onnx", batch="dynamic", **other)
    for artifact in [*folder.glob("*.onnx"), *folder.glob("*.tflite")]:
        write_probe(artifact)
    return folder


def write_probe(artifact: Path) -> Path:
    """Write an artifact's probe file as the host pushes it to a phone."""
    probe = artifact.with_name(artifact.name + ".probe")
    manifest = read_manifest(manifest_path(artifact))
    probe.write_text(probe_file(manifest, runtime_of(artifact).package))
    return probe


@pytest.fixture(scope="session")
def options(models: Path) -> Callable[..., list[str]]:
    """Make the runner's command line for one of the artifacts."""

    def make(kind: str, name: str, *more: str) -> list[str]:
        paths = [f"artifact={models / name}", f"probe={models / name}.probe"]
        return ["protocol=3", f"kind={kind}", *paths, "threads=1", "min_time_s=0.02", *more]

    return make
