"""What a call of ``cnn-bench`` leaves, and an APK as far as the host looks into one."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

LIBRARIES = (
    *("libonnxruntime.so", "libonnxruntime4j_jni.so"),
    *("libexecutorch.so", "libfbjni.so", "libc++_shared.so"),
)


class Done(NamedTuple):
    code: int
    out: str
    err: str


Bench = Callable[..., Done]


def write_apk(path: Path, *abis: str, dex: bytes = b"dex\n038\0", more: Sequence[str] = ()) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("AndroidManifest.xml", b"\x03\x00")
        archive.writestr("classes.dex", dex)
        for abi in abis:
            for name in (*LIBRARIES, *more):
                archive.writestr(f"lib/{abi}/{name}", f"{abi}/{name}".encode() * 4000)
    return path


def records(path: Path, kind: str) -> list[dict[str, Any]]:
    """Return the lines of a results file that are of a kind."""
    lines = map(json.loads, path.read_text().splitlines())
    return [line for line in lines if line["cnn_bench"] == kind]
