"""The fake phone as the real adb client sees it."""

from __future__ import annotations

import subprocess
import threading
import time
from pathlib import Path

import pytest
from phone.adb_fixture import Phones, connect
from phone.adb_server import AdbServer
from phone.fake_phone import FakePhone
from phone.faults import Faults
from phone.phone_spec import BIG, PhoneSpec

from cnn_export.benchmarks.devices.adb.connection.phone import Phone
from cnn_export.benchmarks.devices.adb.connection.server import local_server

ODD = "a b'c\"d$e;f`g\\h*ü"


def test_a_command_keeps_its_outputs_apart_and_its_status(
    adb_server: AdbServer, phone: FakePhone
) -> None:
    done = adb_server.run("-s", phone.serial, "shell", "echo out; echo err >&2; exit 7")
    assert (done.stdout, done.stderr, done.returncode) == ("out\n", "err\n", 7)


def test_standard_input_arrives_and_ends(adb_server: AdbServer, phone: FakePhone) -> None:
    done = subprocess.run(
        [adb_server.adb, "-s", phone.serial, "shell", "wc -c"],
        env=adb_server.environment,
        input=b"x" * 100_000,
        capture_output=True,
        timeout=20,
    )
    assert done.stdout.strip() == b"100000"


def test_the_phones_own_paths_are_seen(adb_server: AdbServer, phone: FakePhone) -> None:
    text = "cd /data/local/tmp && pwd && cat /sys/devices/system/cpu/cpu7/cpufreq/scaling_max_freq"
    done = adb_server.run("-s", phone.serial, "shell", text)
    assert done.stdout == f"/data/local/tmp\n{BIG.maximum_khz}\n"


def test_only_what_a_phone_has_is_found(adb_server: AdbServer, phone: FakePhone) -> None:
    done = adb_server.run("-s", phone.serial, "shell", "python3 --version")
    assert done.returncode == 127


def test_files_survive_the_way_there_and_back(
    adb_server: AdbServer, phone: FakePhone, tmp_path: Path
) -> None:
    source, back = tmp_path / ODD, tmp_path / "back"
    source.write_bytes(bytes(range(256)) * 3000)
    target = f"/data/local/tmp/{ODD}/file"
    assert adb_server.run("-s", phone.serial, "push", str(source), target).returncode == 0
    assert phone.path(target).read_bytes() == source.read_bytes()
    assert adb_server.run("-s", phone.serial, "pull", target, str(back)).returncode == 0
    assert back.read_bytes() == source.read_bytes()


def test_a_full_disk_refuses_and_keeps_nothing(
    adb_server: AdbServer, phone: FakePhone, tmp_path: Path
) -> None:
    source = tmp_path / "big"
    source.write_bytes(bytes(1 << 20))
    phone.free_bytes = 1 << 19
    done = adb_server.run("-s", phone.serial, "push", str(source), "/data/local/tmp/big")
    assert done.returncode != 0
    assert "No space left on device" in done.stderr
    assert not phone.path("/data/local/tmp/big").exists()
    assert " 0 100% /data" in adb_server.run("-s", phone.serial, "shell", "df -k /data").stdout


def test_streams_run_side_by_side(adb_server: AdbServer, phone: FakePhone) -> None:
    began = time.monotonic()
    results: list[str] = []

    def wait(word: str) -> None:
        text = f"sleep 1; echo {word}"
        results.append(adb_server.run("-s", phone.serial, "shell", text).stdout)

    threads = [threading.Thread(target=wait, args=(str(n),)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == [f"{n}\n" for n in range(6)]
    assert time.monotonic() - began < 5


def test_an_app_is_installed_and_found(
    adb_server: AdbServer, phone: FakePhone, tmp_path: Path
) -> None:
    apk = tmp_path / "cnn-bench.apk"
    apk.write_bytes(b"PK\x03\x04" * 5000)
    done = adb_server.run("-s", phone.serial, "install", "-r", str(apk))
    assert "Success" in done.stdout
    assert phone.path("/data/app/org.cnnexport.bench/base.apk").read_bytes() == apk.read_bytes()
    listed = adb_server.run("-s", phone.serial, "shell", "pm path org.cnnexport.bench")
    assert listed.stdout == "package:/data/app/org.cnnexport.bench/base.apk\n"


@pytest.mark.parametrize(
    ("trust", "state"), [("unauthorized", "unauthorized"), ("silent", "offline")]
)
def test_a_phone_that_does_not_talk(adb_server: AdbServer, trust: str, state: str) -> None:
    phone = FakePhone(trust=trust)
    try:
        adb_server.begin_connect(phone.address)
        adb_server.wait_for(phone.serial, state)
        assert adb_server.run("-s", phone.serial, "shell", "true").returncode != 0
    finally:
        phone.close()


def test_a_pulled_cable_ends_the_command_and_comes_back(
    adb_server: AdbServer, phone: FakePhone
) -> None:
    timer = threading.Timer(0.5, phone.unplug)
    timer.start()
    done = adb_server.run("-s", phone.serial, "shell", "echo begun; sleep 30; echo done")
    assert done.stdout == "begun\n"
    assert done.returncode != 0
    phone.plug()
    adb_server.wait_for(phone.serial, "device")
    assert adb_server.run("-s", phone.serial, "shell", "echo back").stdout == "back\n"


def test_a_reboot_kills_everything_and_keeps_settings(
    adb_server: AdbServer, phone: FakePhone
) -> None:
    shell = ("-s", phone.serial, "shell")
    boot_id = phone.read("/proc/sys/kernel/random/boot_id")
    adb_server.run(*shell, "settings put global stay_on_while_plugged_in 3")
    adb_server.run(*shell, "cmd power set-fixed-performance-mode-enabled true")
    adb_server.run(*shell, "setsid sleep 99 >/dev/null 2>&1 </dev/null &")
    assert phone.processes()
    assert phone.fixed_performance
    phone.reboot(away_s=0.3)
    assert not phone.processes()
    adb_server.wait_for(phone.serial, "device")
    assert phone.read("/proc/sys/kernel/random/boot_id") != boot_id
    assert phone.settings == {"global/stay_on_while_plugged_in": "3"}
    assert not phone.fixed_performance


def test_another_server_finds_the_phone_again(adb_server: AdbServer, phone: FakePhone) -> None:
    adb_server.kill()
    adb_server.start()
    assert adb_server.state(phone.serial) == ""
    adb_server.connect(phone.address)
    adb_server.wait_for(phone.serial, "device")


def test_a_phone_may_look_like_an_emulator(adb_server: AdbServer) -> None:
    phone = FakePhone(as_emulator=True)
    try:
        connect(adb_server, phone)
        assert phone.serial == f"emulator-{phone.daemon.port - 1}"
        phone.unplug()
        phone.plug()
        adb_server.wait_for(phone.serial, "device")
        assert adb_server.run("-s", phone.serial, "shell", "echo 1").stdout == "1\n"
    finally:
        phone.close()


def test_a_slow_shell_is_slow(adb_server: AdbServer, phone: FakePhone) -> None:
    phone.faults = Faults(shell_delay_s=0.7)
    began = time.monotonic()
    assert adb_server.run("-s", phone.serial, "shell", "echo 1").stdout == "1\n"
    assert time.monotonic() - began > 0.7


def test_several_phones_are_different(adb_server: AdbServer, phones: Phones) -> None:
    old = PhoneSpec(serial="OLD", api=28, abis=("armeabi-v7a",))
    first, second = phones(2, PhoneSpec(), old)
    get = ("getprop ro.build.version.sdk", "getprop ro.product.cpu.abilist", "getprop ro.soc.model")
    said = [
        [adb_server.run("-s", p.serial, "shell", text).stdout.strip() for text in get]
        for p in (first, second)
    ]
    assert said == [["34", "arm64-v8a,armeabi-v7a", "Paper P1"], ["28", "armeabi-v7a", ""]]


def test_nothing_listens_beyond_this_machine(adb_server: AdbServer, phone: FakePhone) -> None:
    ports = {adb_server.port, phone.daemon.port}
    heard: dict[int, str] = {}
    for table in ("tcp", "tcp6", "udp", "udp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            words = line.split()
            address, port = words[1].split(":")
            if int(port, 16) in ports and words[3] in ("0A", "07"):
                heard[int(port, 16)] = address
    assert heard == dict.fromkeys(ports, "0100007F")


def test_closing_leaves_nothing(adb_server: AdbServer) -> None:
    phone = FakePhone()
    adb_server.connect(phone.address)
    adb_server.wait_for(phone.serial, "device")
    adb_server.run("-s", phone.serial, "shell", "setsid sleep 99 >/dev/null 2>&1 </dev/null &")
    phone.close()
    assert not phone.processes()
    assert not phone.root.exists()


def test_closing_a_stream_ends_its_command(adb_server: AdbServer, phone: FakePhone) -> None:
    running = Phone(local_server(), phone.serial).start(["sleep", "99"])
    while not phone.processes():
        time.sleep(0.02)
    running.close()
    deadline = time.monotonic() + 10
    while phone.processes() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not phone.processes()
