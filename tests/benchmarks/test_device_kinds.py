"""Kinds of devices and runtimes are found as folders and files; nobody lists them a second time."""

from __future__ import annotations

from pathlib import Path

from cnn_export.benchmarks import devices, runtimes
from cnn_export.benchmarks.devices.named_devices import kinds
from cnn_export.benchmarks.runtimes.runtime_arguments import CHOICES, RUNTIME_OF_TARGET
from cnn_export.benchmarks.runtimes.runtime_registry import RUNTIMES
from cnn_export.targets import TARGETS


def test_every_folder_of_devices_is_a_kind() -> None:
    folders = {file.parent.name for file in Path(devices.__path__[0]).glob("*/__init__.py")}
    assert {kind.name for kind in kinds()} == folders == {"host", "adb"}
    assert kinds()[0].name == "host"


def test_a_name_is_of_one_kind_at_most() -> None:
    for name in ("host", "adb", "adb:", "adb:0A1B", "adb:far:5037/0A1B", "all", "hosts", ""):
        assert sum(kind.means(name) for kind in kinds()) == (
            name.partition(":")[0] in {"host", "adb"}
        )


def test_every_runtime_file_is_found_by_file_type_target_and_name() -> None:
    files = list(Path(runtimes.__path__[0]).glob("*_runtime.py"))
    assert len(RUNTIMES) == len(CHOICES) == len(RUNTIME_OF_TARGET) == len(files) == 3
    for suffix, kind in RUNTIMES.items():
        assert kind.suffix == suffix == TARGETS[kind.target].suffix
        assert RUNTIME_OF_TARGET[kind.target] == kind.package
