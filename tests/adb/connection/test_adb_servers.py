"""Which adb server is asked, and which of its phones: through the real adb."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from bench_calls import Bench, records
from phone.adb_server import AdbServer
from phone.fake_phone import FakePhone
from relays import ipv6_relay, renaming_server

OUT = Path("results.jsonl")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
def test_a_phone_of_a_remote_server(
    adb_server: AdbServer,
    phone: FakePhone,
    bench: Bench,
    model: Path,
    monkeypatch: pytest.MonkeyPatch,
    host: str,
) -> None:
    monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", "9")  # the local one is not to be asked
    if host == "[::1]":
        with ipv6_relay(adb_server.port) as port:
            done = bench("run", model, "--device", f"adb:[::1]:{port}/{phone.serial}")
    else:
        name = f"adb:{host}:{adb_server.port}/{phone.serial}"
        done = bench("run", model, "--device", name)
    assert done.code == 0, done.err
    assert records(OUT, "run")[0]["device"]["id"] == phone.serial


def test_a_serial_that_a_shell_would_read_otherwise(
    adb_server: AdbServer, phone: FakePhone, bench: Bench, model: Path, tmp_path: Path
) -> None:
    """Only a phone on USB can have such a serial, so the server is made to tell of one."""
    serial = "a b'c\"d;$(touch pwned) é"
    with renaming_server(adb_server.port, phone.serial, serial) as port:
        done = bench("run", model, "--device", f"adb:127.0.0.1:{port}/{serial}")
        assert done.code == 0, done.err
        near = bench("run", model, "--device", f"adb:127.0.0.1:{port}/a b")
    assert records(OUT, "run")[0]["device"]["id"] == serial
    assert (near.code, serial in near.err) == (12, True)
    assert not [*tmp_path.rglob("pwned"), *phone.root.rglob("pwned")]


def test_a_local_server_that_is_down_is_started_quietly(
    adb_server: AdbServer, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in adb_server.changes.items():
        monkeypatch.setenv(name, value)
    adb_server.kill()
    done = bench("devices", "--json")
    assert done.code == 0
    assert done.err == ""
    assert json.loads(done.out)["no_phones"].endswith("sees no phone")
    assert adb_server.run("devices").stdout.startswith("List of devices")
