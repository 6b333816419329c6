"""Scripts that stand for the runtimes' own tools: they print what the real ones print."""

from __future__ import annotations

from pathlib import Path

import tool_outputs as said

_LOG = """#!/bin/sh
echo "$(basename "$0") $*" >> "$PHONE_ROOT/.phone/tool_calls"
ls >> "$PHONE_ROOT/.phone/tool_folder"
"""


def write_tool(path: Path, name: str, text: str | None = None, exit_code: int = 0) -> Path:
    """Write a tool that prints its usual output, or ``text``."""
    usual = {
        "benchmark_model": f"cat >&2 <<'END'\n{said.TFLITE_2024}END\n",
        "executor_runner": f"cat >&2 <<'END'\n{said.EXECUTORCH_2026}END\n",
        "onnxruntime_perf_test": (
            f"cat <<'END'\n{said.ORT_OUT.format(total='')}END\n"
            f"for last; do :; done\ncat > \"$last\" <<'END'\n{said.ORT_RESULT}END\n"
        ),
    }[name]
    body = usual if text is None else f"cat <<'END'\n{text}\nEND\n"
    path.write_text(f"{_LOG}{body}exit {exit_code}\n")
    return path


def write_elf(path: Path, machine: int) -> Path:
    """Write the head of a program for a processor."""
    path.write_bytes(b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x03\0" + machine.to_bytes(2, "little"))
    return path
