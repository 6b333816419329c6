"""The app's own classes on this machine's JVM behind the fake phone, and a network for them."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from phone.adb_fixture import adb_server, phone, phones
from phone.adb_server import AdbServer
from phone.fake_phone import FakePhone
from whole_path_calls import Bench, Done, Jvm

__all__ = ["adb_server", "phone", "phones"]

ROOT = Path(__file__).parents[2]
BUILD_LIMIT_S, CALL_LIMIT_S = 600, 240


@pytest.fixture(scope="session")
def jvm() -> Jvm:
    """The app's classes and the runtimes of this machine, built by the Makefile."""
    if shutil.which("javac") is None:
        pytest.skip("no javac: the app's classes cannot be built (apt-get install openjdk-17-jdk)")
    made = subprocess.run(
        ["make", "app-jvm"], cwd=ROOT, capture_output=True, text=True, timeout=BUILD_LIMIT_S
    )
    assert made.returncode == 0, made.stdout + made.stderr
    folder = ROOT / "android_app/build/jvm"
    return Jvm((folder / "classpath.txt").read_text().strip(), folder / "natives")


@pytest.fixture
def app_phone(phone: FakePhone, jvm: Jvm) -> FakePhone:
    """A phone whose ``app_process`` starts the app's own classes."""
    phone.use_jvm_runner(jvm.classpath, jvm.natives)
    return phone


@pytest.fixture
def skipnet(shipped: Path) -> list[Path]:
    """The trained network of the README, for TFLite and for ONNX Runtime."""
    return [shipped / f"skipnet_digits.{suffix}" for suffix in ("tflite", "onnx")]


@pytest.fixture
def bench(adb_server: AdbServer, tmp_path: Path) -> Bench:
    """``cnn-bench`` as a user starts it: a process of its own, in an empty folder."""
    program = shutil.which("cnn-bench", path=os.fspath(ROOT / ".venv/bin")) or "cnn-bench"

    def call(*words: object) -> Done:
        done = subprocess.run(
            [program, *map(str, words)],
            cwd=tmp_path,
            env=adb_server.environment,
            capture_output=True,
            text=True,
            timeout=CALL_LIMIT_S,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    return call
