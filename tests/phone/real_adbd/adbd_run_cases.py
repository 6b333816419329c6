"""``cnn-bench run`` on a phone behind Debian's real adbd. Run by ``test_real_adbd.py``.

The phone's programs and files are the fake phone's; the daemon, its shell sessions and its file
transfer are not.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from affine_artifact import manifest_of, save_manifest, write_onnx
from phone.fake_phone import FakePhone
from phone.real_adbd.daemon import adbd
from phone.real_adbd.device_root import mount_root

from cnn_export.benchmarks.cli import main

LIBRARY = "lib/arm64-v8a/libonnxruntime4j_jni.so"


@pytest.fixture
def phone(tmp_path: Path) -> Iterator[FakePhone]:
    made = FakePhone()
    made.unplug()  # its own daemon: the real one answers here
    root = tmp_path / "root"
    root.mkdir()
    environment = {
        "PATH": "/system/bin",
        "PHONE_ROOT": str(made.root),
        "TMPDIR": "/data/local/tmp",
    }
    try:
        with adbd(["/usr/sbin/chroot", str(mount_root(made, root))], environment):
            yield made
    finally:
        made.close()


def test_a_run(phone: FakePhone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with zipfile.ZipFile("app.apk", "w") as archive:
        for name in ("AndroidManifest.xml", "classes.dex", LIBRARY):
            archive.writestr(name, b"dex\n038\0")
    model = tmp_path / "a b'c.onnx"
    write_onnx(model)
    save_manifest(model, manifest_of(model, "onnx"))
    words = ["run", str(model), "--device", "adb", "--app", "app.apk", "--cpus", "big"]
    assert main([*words, "--min-time", "10ms", "--repeats", "2", "--quiet"]) == 0
    lines = list(map(json.loads, Path("results.jsonl").read_text().splitlines()))
    kinds = [line["cnn_bench"] for line in lines]
    assert kinds.count("repeat") == 2
    assert kinds.count("memory") == 1
    assert [line["reason"] for line in lines if line["cnn_bench"] == "traffic"]
    assert not phone.path("/data/local/tmp/cnn-bench").exists()
    assert phone.settings == {}
    assert not phone.fixed_performance
    assert ["taskset", "f0"] in [call[:2] for call in phone.calls("taskset")]
    assert list(phone.path("/data/local/tmp").iterdir()) == []
