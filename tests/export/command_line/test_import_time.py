"""Help, versions and lists answer without torch or any vendor package; so does a typing error."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = (
    *("torch", "torchvision", "numpy", "timm", "onnx", "onnxruntime", "onnxscript", "onnxsim"),
    *("litert_torch", "ai_edge_litert", "tensorflow", "jax", "coremltools", "executorch"),
    *("scipy", "pandas", "sympy", "PIL", "pydantic", "rich"),
)

PROGRAM = f"""
import sys
from cnn_export.__main__ import main

code = main(sys.argv[1:])
loaded = [name for name in {HEAVY!r} if name in sys.modules]
sys.stderr.write(f"loaded {{loaded}}")
sys.exit(code)
"""


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments], capture_output=True, text=True
    )


@pytest.mark.parametrize(
    ("option", "shown"),
    [
        ("--help", "--minimum-deployment-target"),
        ("-h", "Usage: cnn-export"),
        ("--version", "cnn-export 0.1.0"),
        ("--list-targets", "executorch"),
        ("--list-models", "skipnet"),
    ],
)
def test_what_only_shows_loads_nothing(option: str, shown: str) -> None:
    result = run(option)
    assert result.returncode == 0
    assert shown in result.stdout
    assert result.stderr == "loaded []"


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["net.pt"],
        ["net.pt", "-t", "onix"],
        ["net.pt", "-t", "onnx", "--precision", "fp8"],
        ["net.pt", "-t", "onnx", "--quite"],
        ["net.pt", "-t", "onnx", "--opset", "x"],
    ],
)
def test_a_typing_error_answers_before_anything_loads(arguments: list[str]) -> None:
    result = run(*arguments)
    assert result.returncode == 2
    assert result.stdout == ""
    message, loaded = result.stderr.splitlines()
    assert message.startswith("cnn-export: ")
    assert loaded == "loaded []"


@pytest.mark.parametrize("option", ["--help", "-h", "--version"])
def test_what_the_bench_only_shows_loads_nothing(option: str) -> None:
    program = PROGRAM.replace("cnn_export.__main__", "cnn_export.benchmarks.cli")
    result = subprocess.run(
        [sys.executable, "-c", program, option], capture_output=True, text=True, check=False
    )
    assert (result.returncode, result.stderr) == (0, "loaded []")


def test_the_package_itself_is_lazy() -> None:
    program = (
        "import sys, cnn_export; "
        "sys.exit(any(name in sys.modules for name in ('torch', 'numpy', 'click', 'pydantic')))"
    )
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0


def test_the_heavy_list_would_notice_torch() -> None:
    """The check itself works: a job that starts does load torch."""
    result = run("does-not-exist.pt", "-t", "onnx")
    assert result.returncode == 4
    assert "'torch'" in result.stderr
