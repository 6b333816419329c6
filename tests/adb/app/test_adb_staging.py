"""What is carried to a phone and when, what is believed of it, and what is left behind."""

from __future__ import annotations

import hashlib
import threading
import time
from pathlib import Path

import pytest
from bench_calls import Bench, write_apk
from phone.fake_phone import FakePhone
from phone.stream import Stream
from phone.sync_service import Sync

from cnn_export.benchmarks.devices.adb.connection.phone import Phone
from cnn_export.benchmarks.devices.adb.connection.server import local_server
from cnn_export.benchmarks.devices.adb.connection.staging import FOLDER, Stage, item_of
from cnn_export.errors import DeviceUnfit


@pytest.fixture
def pushed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of all files that phones are sent, in order, less the temporary ending."""
    names: list[str] = []
    send = Sync._send

    def noting(self: Sync, request: bytes, argument: str) -> None:
        names.append(argument.rpartition(",")[0].removeprefix(f"{FOLDER}/").rsplit(".", 2)[0])
        send(self, request, argument)

    monkeypatch.setattr(Sync, "_send", noting)
    return names


def test_everything_is_pushed_once_for_all_processes(
    phone: FakePhone, bench: Bench, model: Path, apk: Path, pushed: list[str]
) -> None:
    assert bench("run", model, "--device", "adb", "--repeats", 4).code == 0
    digest = hashlib.sha256(model.read_bytes()).hexdigest()
    folder = f"{hashlib.sha256(apk.read_bytes()).hexdigest()[:16]}-arm64-v8a"
    assert len(phone.calls("app_process")) == 1 + 4
    assert pushed[0] == f"{digest}.onnx"
    assert pushed[1].endswith(".probe")
    assert pushed[2].endswith(".jar")
    # Of another runtime's libraries none is pushed; what belongs to nobody might be needed.
    assert sorted(pushed[3:]) == [
        f"{folder}/{name}"
        for name in ("libc++_shared.so", "libonnxruntime.so", "libonnxruntime4j_jni.so")
    ]


def test_kept_files_are_not_pushed_again(
    phone: FakePhone, bench: Bench, model: Path, pushed: list[str], apk: Path
) -> None:
    assert bench("run", model, "--device", "adb", "--keep").code == 0
    there = {path.name for path in phone.path(FOLDER).rglob("*") if path.is_file()}
    assert len(there) == 6
    assert len(pushed) == 6
    pushed.clear()
    assert bench("run", model, "--device", "adb", "--keep").code == 0
    assert pushed == []
    write_apk(apk, "arm64-v8a", dex=b"another")  # the model and its probe stay
    assert bench("run", model, "--device", "adb").code == 0
    assert len(pushed) == 4
    assert not phone.path(FOLDER).exists()


def test_a_further_process_takes_few_commands(
    phone: FakePhone, bench: Bench, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is a round trip to the phone: watch, run, look; a fourth where the look is old."""
    served: list[str] = []
    serve = phone.serve

    def noting(name: str, stream: Stream) -> bool:
        served.append(name)
        return serve(name, stream)

    monkeypatch.setattr(phone, "serve", noting)
    counts: list[int] = []
    for repeats in (2, 6):
        served.clear()
        assert bench("run", model, "--device", "adb", "--repeats", repeats).code == 0
        counts.append(len(served))
    assert 3 * 4 <= counts[1] - counts[0] <= 4 * 4


@pytest.mark.parametrize("spoil", [b"", b"half of it"])
def test_a_file_that_is_not_what_its_name_says_is_replaced(
    phone: FakePhone, bench: Bench, model: Path, pushed: list[str], spoil: bytes
) -> None:
    digest = hashlib.sha256(model.read_bytes()).hexdigest()
    place = phone.path(f"{FOLDER}/{digest}.onnx")
    place.parent.mkdir()
    place.write_bytes(spoil)
    assert bench("run", model, "--device", "adb", "--keep").code == 0
    assert f"{digest}.onnx" in pushed
    assert place.read_bytes() == model.read_bytes()


def test_a_file_that_arrives_damaged_never_gets_its_name(
    phone: FakePhone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The phone's disk returns something else than was written."""
    source = tmp_path / "m.onnx"
    source.write_bytes(b"x" * 100_000)
    send = Sync._send

    def spoiling(self: Sync, request: bytes, argument: str) -> None:
        send(self, request, argument)
        phone.path(argument.rpartition(",")[0]).write_bytes(b"y" * 100_000)

    monkeypatch.setattr(Sync, "_send", spoiling)
    item = item_of(source)
    with pytest.raises(DeviceUnfit, match="did not keep"):
        Stage(Phone(local_server(), phone.serial)).bring([item])
    assert list(phone.path(FOLDER).iterdir()) == []


def test_a_push_that_breaks_off_leaves_nothing_that_is_believed(
    phone: FakePhone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "m.onnx"
    source.write_bytes(bytes(2 << 20))
    spend, spent = phone._spend, [0]

    def pulling_the_cable(count: int) -> None:
        spent[0] += count
        if spent[0] > 1 << 20:
            phone.unplug()
        spend(count)

    monkeypatch.setattr(phone, "_spend", pulling_the_cable)
    with pytest.raises(DeviceUnfit, match=r"push m\.onnx"):
        Stage(Phone(local_server(), phone.serial)).bring([item_of(source)])
    assert {path.suffix for path in phone.path(FOLDER).iterdir()} <= {".part"}


def test_a_lost_phone_comes_back_and_everything_is_brought_again(
    phone: FakePhone, bench: Bench, model: Path, pushed: list[str]
) -> None:
    """The cable is out for a moment between two processes: the run just goes on."""

    def pull() -> None:
        while len(phone.calls("app_process")) < 2:
            time.sleep(0.02)
        phone.unplug()
        time.sleep(0.3)
        phone.plug()

    puller = threading.Thread(target=pull, daemon=True)
    puller.start()
    done = bench("run", model, "--device", "adb", "--repeats", 6)
    puller.join()
    assert done.code == 0, done.err
    assert len(pushed) == 12
    assert not phone.path(FOLDER).exists()
