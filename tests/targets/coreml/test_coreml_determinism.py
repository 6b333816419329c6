"""The same program gives the same bytes, in one process and across processes; and no chatter."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from cnn_export.program.program import capture
from cnn_export.targets.coreml.target import CoreML
from cnn_export.targets.options import TargetOptions

PACKAGES = ("a.mlpackage", "b.mlpackage")


def export_twice(folder):
    """Export the same network to two packages of ``folder``, capturing it anew each time."""
    for name in PACKAGES:
        torch.manual_seed(5)
        convolutions = nn.Conv2d(3, 8, 3, bias=False), nn.Conv2d(8, 8, 3, groups=4)
        network = nn.Sequential(
            *(convolutions[0], nn.BatchNorm2d(8), nn.Hardswish(), convolutions[1]),
            *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 20), nn.Softmax(1)),
        )
        program = capture(network, (torch.randn(1, 3, 9, 7),))
        options = TargetOptions(precision="fp16", metadata={"b": "2", "a": "1", "c": "3"})
        CoreML().export(program, options, folder / name)


def digests(package):
    return {
        str(file.relative_to(package)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in package.rglob("*")
        if file.is_file()
    }


@pytest.fixture(scope="module")
def other_process(tmp_path_factory):
    """The folder and the outcome of the same exports in a process with another hash seed."""
    folder = tmp_path_factory.mktemp("other")
    seed = "2" if os.environ.get("PYTHONHASHSEED") == "1" else "1"
    job = subprocess.run(
        [sys.executable, __file__, str(folder)],
        env={**os.environ, "PYTHONHASHSEED": seed},
        capture_output=True,
        text=True,
    )
    return folder, job


def test_identical_bytes(other_process, tmp_path):
    folder, job = other_process
    assert job.returncode == 0, job.stderr
    export_twice(tmp_path)
    packages = [where / name for where in (tmp_path, folder) for name in PACKAGES]
    contents = [digests(package) for package in packages]
    assert len(contents) == 4
    assert len(contents[0]) == 3
    assert all(content == contents[0] for content in contents)


def test_nothing_is_printed(other_process):
    _, job = other_process
    assert (job.stdout, job.stderr) == ("", "")


def test_importing_the_target_imports_no_vendor():
    code = "import sys, cnn_export.targets.coreml.target; sys.exit('coremltools' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


if __name__ == "__main__":
    export_twice(Path(sys.argv[1]))
