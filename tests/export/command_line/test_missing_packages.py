"""A missing package is named with everything else that is missing, and one line that installs it.

The line works from where this was installed: an index, a checkout or a wheel.
"""

from __future__ import annotations

import json
import re
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

from cnn_export.artifact_files.formats import SUFFIXES, require_readers
from cnn_export.benchmarks.runtimes.runtime_registry import RUNTIMES, require_runtimes
from cnn_export.command_line import packages
from cnn_export.errors import TargetUnavailable
from cnn_export.targets import NETWORK_PACKAGES, TARGETS, require_targets

ROOT = Path(__file__).parents[3]


def _declared() -> dict[str, set[str]]:
    """Return what each extra brings, with what the extras that it names bring."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    extras = tomllib.loads(text)["project"]["optional-dependencies"]

    def brought(extra: str) -> set[str]:
        names: set[str] = set()
        for line in extras[extra]:
            if inner := re.fullmatch(r"cnn-export\[(.*)\]", line):
                names |= set[str]().union(*map(brought, inner[1].split(",")))
            else:
                names.add(re.split(r"[<>=~]", line)[0].lower())
        return names

    return {extra: brought(extra) for extra in extras}


@pytest.fixture
def lost(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Packages that are not installed: add to it."""
    names: set[str] = set()
    installed = metadata.version

    def version(name: str) -> str:
        if name in names:
            raise metadata.PackageNotFoundError(name)
        return installed(name)

    monkeypatch.setattr(metadata, "version", version)
    return names


def test_an_extra_brings_what_its_target_asks_for() -> None:
    declared = _declared()
    through = {"tflite": {"ai-edge-quantizer"}}  # litert-torch requires it
    for name, entry in TARGETS.items():
        needs = {*NETWORK_PACKAGES, *entry.packages} - through.get(name, set())
        assert needs <= declared[name]
    for kind in RUNTIMES.values():
        assert {kind.package, *kind.needs} <= declared[f"run-{kind.target}"]
    assert declared["all"] >= set[str]().union(*(declared[x] for x in declared if x != "dev"))


def test_the_judge_needs_no_network_package() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    base = {re.split(r"[<>=~]", each)[0] for each in tomllib.loads(text)["project"]["dependencies"]}
    assert base == {"click", "jinja2", "numpy", "pydantic", "rich"}


def test_all_that_is_missing_for_all_targets_is_named_once(lost: set[str]) -> None:
    lost |= {"torch", "safetensors", "onnxsim", "coremltools"}
    with pytest.raises(TargetUnavailable) as caught:
        require_targets(["onnx", "tflite", "coreml"])
    said = str(caught.value)
    assert said.startswith("torch, safetensors, onnxsim and coremltools are not installed; run: ")
    assert said.rstrip("'").endswith("[onnx,tflite,coreml]")


def test_all_that_is_missing_for_a_run_is_named_once(lost: set[str]) -> None:
    lost |= {"onnx", "ai-edge-litert"}
    with pytest.raises(TargetUnavailable, match=r"^ai-edge-litert and onnx are not installed"):
        require_runtimes(["ai-edge-litert", "onnxruntime"])
    with pytest.raises(TargetUnavailable, match=r"are not installed; run: .*\[run-tflite,run-onnx"):
        require_readers(SUFFIXES)


@pytest.mark.parametrize(
    ("recorded", "line"),
    [
        (None, "pip install 'cnn-export[onnx,adb]'"),
        ("not JSON", "pip install 'cnn-export[onnx,adb]'"),
        ({"url": "https://example.org/a.whl"}, "pip install 'cnn-export[onnx,adb]'"),
        (
            {"url": "file:///a%20b/tree", "dir_info": {"editable": True}},
            "pip install -e '/a b/tree[onnx,adb]'",
        ),
        ({"url": "file:///tree", "dir_info": {}}, "pip install '/tree[onnx,adb]'"),
        (
            {"url": "file:///w/cnn_export-0.1.0-py3-none-any.whl", "archive_info": {}},
            "pip install '/w/cnn_export-0.1.0-py3-none-any.whl[onnx,adb]'",
        ),
    ],
)
def test_the_line_installs_from_where_this_came_from(
    recorded: object, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Here:
        def read_text(self, name: str) -> str | None:
            assert name == "direct_url.json"
            return (
                recorded if recorded is None or isinstance(recorded, str) else json.dumps(recorded)
            )

    monkeypatch.setattr(metadata, "distribution", lambda _: Here())
    assert packages.install_line(["onnx", "adb", "onnx"]) == line


@pytest.mark.parametrize(
    ("module", "said"),
    [
        ("scipy", r"^scipy is not installed; run: .*\[selfcheck\]"),
        ("sklearn", r"^scikit-learn is not installed; run: .*\[train\]"),
        ("torch", r"^torch is not installed; run: .*\[torch\]"),
        ("ai_edge_litert", r"^ai-edge-litert is not installed; run: .*\[run-tflite\]"),
        ("PIL", r"^PIL is not installed; run: .*\[all\]"),
    ],
)
def test_a_module_that_cannot_be_imported_is_named_as_its_package(module: str, said: str) -> None:
    assert re.search(said, packages.missing_module(module))
