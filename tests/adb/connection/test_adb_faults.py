"""What can go wrong between the host and a phone: through the real adb, one clear line each."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from affine_artifact import manifest_of, save_manifest, write_stand_in
from bench_calls import Bench, Done, records
from phone.adb_fixture import Phones
from phone.adb_server import AdbServer
from phone.fake_phone import FakePhone
from phone.faults import Faults, RunnerFaults
from phone.phone_spec import PhoneSpec

from cnn_export.command_line.packages import install_line

OUT = Path("results.jsonl")
STAGE = "/data/local/tmp/cnn-bench"


def _assert_says(done: Done, code: int, *words: str) -> None:
    """One line on stderr with all ``words`` and no control character; nothing on stdout."""
    assert done.code == code, done
    assert done.err.count("\n") == 1, done.err
    assert done.err.removesuffix("\n").isprintable()
    for word in words:
        assert word in done.err


@pytest.mark.parametrize(
    ("trust", "state", "advice"),
    [
        ("unauthorized", "unauthorized", "accept 'Allow USB debugging'"),
        ("silent", "offline", "plug it in again"),
    ],
)
def test_a_phone_that_takes_no_commands(
    adb_server: AdbServer, bench: Bench, model: Path, trust: str, state: str, advice: str
) -> None:
    phone = FakePhone(trust=trust)
    try:
        adb_server.begin_connect(phone.address)
        adb_server.wait_for(phone.serial, state)
        _assert_says(bench("run", model, "--device", "adb"), 12, phone.serial, advice)
        _assert_says(bench("run", model, "--device", "all"), 12, phone.serial, advice)
        listed = bench("devices")
        assert (listed.code, listed.err) == (0, "")
        assert f"{state}: phone {phone.serial}" in listed.out
    finally:
        phone.close()
    assert not OUT.exists()


def test_no_phone_at_all(adb_server: AdbServer, bench: Bench, model: Path) -> None:
    _assert_says(bench("run", model, "--device", "adb"), 12, "sees no phone", "USB debugging")
    _assert_says(bench("run", model, "--device", "all"), 12, "sees no phone")


def test_two_phones_without_a_choice(phones: Phones, bench: Bench, model: Path) -> None:
    one, two = phones(2)
    done = bench("run", model, "--device", "adb")
    _assert_says(done, 2, one.serial, two.serial, "--device adb:SERIAL")
    assert bench("run", model, "--device", f"adb:{two.serial}").code == 0
    assert records(OUT, "run")[0]["device"]["id"] == two.serial
    assert one.calls() == []


def test_the_serial_that_adb_itself_would_take(
    phones: Phones, bench: Bench, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, two = phones(2)
    monkeypatch.setenv("ANDROID_SERIAL", two.serial)
    assert bench("run", model, "--device", "adb").code == 0
    assert records(OUT, "run")[0]["device"]["id"] == two.serial


def test_a_serial_that_is_not_there(phone: FakePhone, bench: Bench, model: Path) -> None:
    near = phone.serial[:-1] + str((int(phone.serial[-1]) + 1) % 10)
    done = bench("run", model, "--device", f"adb:{near}")
    _assert_says(done, 12, near, f"adb connect {near}", f"Did you mean {phone.serial!r}")
    evil = "x'; touch /tmp/pwned; \x1b[2J$(id)"
    _assert_says(bench("run", model, "--device", f"adb:{evil}"), 12, "is not connected")


@pytest.mark.parametrize("name", ["hots", "adbb", "adb:", "adb:[::1]:99999/x", "usb"])
def test_a_device_that_is_no_name(adb_server: AdbServer, bench: Bench, model: Path, name: str):
    _assert_says(bench("run", model, "--device", name), 2)


def test_adb_is_missing(
    bench: Bench, model: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ADBUTILS_ADB_PATH", str(tmp_path / "no adb"))
    monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", "9")
    _assert_says(bench("run", model, "--device", "adb"), 5, install_line(["adb"]))
    listed = bench("devices")
    assert listed.code == 0
    assert listed.out.startswith("host ")
    assert "phones          none: adb is missing" in listed.out
    assert listed.err == ""


def test_no_server_answers_at_a_remote_address(bench: Bench, model: Path) -> None:
    done = bench("run", model, "--device", "adb:127.0.0.1:9/SERIAL")
    _assert_says(done, 12, "no adb server answers at 127.0.0.1:9", "adb -a nodaemon server")


@pytest.mark.parametrize("port", ["x", "0", "65536", "-1", "9" * 5000])
def test_a_port_that_is_none(
    bench: Bench, model: Path, monkeypatch: pytest.MonkeyPatch, port: str
) -> None:
    monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", port)
    _assert_says(bench("run", model, "--device", "adb"), 2, "ANDROID_ADB_SERVER_PORT")


def test_another_abi(phones: Phones, bench: Bench, model: Path) -> None:
    phones(1, PhoneSpec(abis=("armeabi-v7a", "armeabi")))
    done = bench("run", model, "--device", "adb")
    _assert_says(done, 5, "arm64-v8a, x86_64", "armeabi-v7a", "make app ABIS=armeabi-v7a")


def test_the_second_abi_of_a_phone_will_do(phones: Phones, bench: Bench, model: Path) -> None:
    phones(1, PhoneSpec(abis=("x86", "x86_64")))
    assert bench("run", model, "--device", "adb").code == 0
    assert records(OUT, "run")[0]["device"]["abi"] == "x86_64"


def test_an_android_that_is_too_old(phones: Phones, bench: Bench, model: Path) -> None:
    phones(1, PhoneSpec(api=25, release="7.1"))
    _assert_says(bench("run", model, "--device", "adb"), 12, "API level 25", "needs 26")


def test_a_runtime_that_the_app_lacks(
    phone: FakePhone, bench: Bench, model: Path, apk: Path
) -> None:
    tflite = model.with_suffix(".tflite")
    write_stand_in(tflite)
    save_manifest(tflite, manifest_of(tflite, "tflite"))
    _assert_says(
        bench("run", tflite, "--device", "adb"), 5, "holds no ai-edge-litert for arm64-v8a"
    )


@pytest.mark.parametrize("content", [None, b"", b"PK\x03\x04 torn"])
def test_an_app_that_is_none(
    phone: FakePhone, bench: Bench, model: Path, apk: Path, content: bytes | None
) -> None:
    if content is None:
        apk.unlink()
        _assert_says(bench("run", model, "--device", "adb"), 5, "run 'make app'", "--app PATH")
        return
    apk.write_bytes(content)
    _assert_says(bench("run", model, "--device", "adb"), 4, "is no APK")


@pytest.mark.parametrize(
    ("faults", "words"),
    [
        (RunnerFaults(kill_after_lines=4), ("before its 'end'", "memory is short")),
        (RunnerFaults(half_line=5), ("damaged", "exit code 0")),
        (RunnerFaults(lines_after_end=2), ("went on after its 'end'",)),
        (RunnerFaults(clock_backwards_line=6), ("damaged", "greater than or equal to 0")),
        (RunnerFaults(exit_code=3), ("exit code 3 after its report",)),
    ],
)
def test_a_process_that_does_not_count(
    phone: FakePhone, bench: Bench, model: Path, faults: RunnerFaults, words: tuple[str, ...]
) -> None:
    phone.faults = Faults(runner=faults)
    done = bench("run", model, "--device", "adb", "--quiet")
    _assert_says(done, 1, *words, "of 3 processes are kept")
    assert records(OUT, "repeat") == []
    assert not phone.path(STAGE).exists()


def test_an_app_that_hangs_is_ended(phone: FakePhone, bench: Bench, model: Path) -> None:
    phone.faults = Faults(runner=RunnerFaults(hang_after_lines=4))
    done = bench("run", model, "--device", "adb", "--quiet", "--timeout", "1s")
    _assert_says(done, 1, "no end after 1 s")
    assert not [pid for pid in phone.processes() if b"runner" in _command_line(pid)]


def _command_line(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def test_noise_is_skipped_and_terminal_commands_are_dropped(
    phones: Phones, bench: Bench, model: Path
) -> None:
    spec = PhoneSpec(model="\x1b[2JEvil\x1b]0;title\x07 phone\x9b31m", release="14\x1b[31m")
    [phone] = phones(1, spec)
    phone.faults = Faults(runner=RunnerFaults(noise=True, escapes=True))
    done = bench("run", model, "--device", "adb")
    assert done.code == 0
    shown = done.out + done.err + bench("devices").out
    assert "Evil phone" in shown
    assert all(character.isprintable() or character == "\n" for character in shown)
    text = OUT.read_text()
    assert "\\u001b" not in text
    assert records(OUT, "run")[0]["device"]["model"] == "Paper Evil phone"


def test_paths_that_a_shell_would_read_otherwise(
    phone: FakePhone, bench: Bench, model: Path, apk: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "a b'c\"d;$(touch pwned)`e`\\f*"
    folder.mkdir()
    odd = folder / "m odel'\"$(touch pwned).onnx"
    model.rename(odd)
    save_manifest(odd, manifest_of(odd, "onnx"))
    apk.rename(folder / "the app.apk")
    done = bench("run", odd, "--device", "adb", "--app", folder / "the app.apk")
    assert done.code == 0, done.err
    assert records(OUT, "artifact")[0]["name"] == odd.name
    assert not list(tmp_path.rglob("pwned"))
    assert not list(phone.root.rglob("pwned"))


def test_a_full_disk(phone: FakePhone, bench: Bench, model: Path) -> None:
    phone.free_bytes = 1000
    _assert_says(
        bench("run", model, "--device", "adb"), 12, "no space left", "0 of 3 processes are kept"
    )
    assert not phone.path(STAGE).exists()


def test_cores_that_the_phone_has_not_got(phone: FakePhone, bench: Bench, model: Path) -> None:
    _assert_says(
        bench("run", model, "--device", "adb", "--cpus", "7,8"), 2, "CPU 8", "change --cpus"
    )
    assert not phone.path(STAGE).exists()


def test_cores_of_one_kind(phones: Phones, bench: Bench, model: Path) -> None:
    spec = PhoneSpec()
    phones(1, dataclasses.replace(spec, clusters=spec.clusters[:1]))
    _assert_says(bench("run", model, "--device", "adb", "--cpus", "big"), 2, "all of one kind")


def test_no_cores_for_an_activity(phone: FakePhone, bench: Bench, model: Path) -> None:
    words = ("--device", "adb", "--cpus", "big", "--launch", "activity")
    _assert_says(bench("run", model, *words), 2, "--launch app_process")


def test_a_server_that_does_not_start(
    bench: Bench, model: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program = tmp_path / "adb"
    program.write_text("#!/bin/sh\nprintf 'adb: \\033[31mcannot bind\\033[0m' >&2; exit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("ADBUTILS_ADB_PATH", str(program))
    monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", "9")
    done = bench("run", model, "--device", "adb")
    _assert_says(done, 12, "adb cannot start its server: adb: cannot bind")
