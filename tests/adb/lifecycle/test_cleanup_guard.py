"""The folder on a phone: cleared with the run, with what earlier runs left, and never waited for.

Through the real adb; faults are the phone's.
"""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
from bench_calls import Bench
from phone.fake_phone import FakePhone
from phone.faults import Faults, RunnerFaults

from cnn_export.benchmarks.devices.adb.app.cleanup_guard import CleanupGuard
from cnn_export.benchmarks.devices.adb.connection.phone import Phone
from cnn_export.benchmarks.devices.adb.connection.server import local_server
from cnn_export.benchmarks.devices.adb.connection.staging import FOLDER
from cnn_export.errors import DeviceUnfit

APP = "/data/app/org.cnnexport.bench/base.apk"


def _replace(phone: FakePhone, program: str, text: str) -> None:
    """Let a program of the phone be another one."""
    path = phone.path(f"/system/bin/{program}")
    path.unlink()
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def test_a_pulled_cable_clears_the_folder(phone: FakePhone) -> None:
    guard = CleanupGuard(Phone(local_server(), phone.serial), keep=False)
    guard.begin()
    assert guard.holds()
    phone.write(f"{FOLDER}/x", "x")
    phone.unplug()
    _wait_until_gone(phone.path(FOLDER))
    assert not guard.holds()
    guard.end()  # of a phone that is gone nothing is asked


def test_a_later_run_owns_the_folder(phone: FakePhone) -> None:
    adb = Phone(local_server(), phone.serial)
    first, second = CleanupGuard(adb, keep=False), CleanupGuard(adb, keep=False)
    first.begin()
    second.begin()
    phone.write(f"{FOLDER}/x", "x")
    first.end()
    assert phone.path(f"{FOLDER}/x").exists()
    second.end()
    assert not phone.path(FOLDER).exists()


def test_a_folder_that_cannot_be_made(phone: FakePhone) -> None:
    phone.write(FOLDER, "a file")
    with pytest.raises(DeviceUnfit, match=r"lets no folder .* be made"):
        CleanupGuard(Phone(local_server(), phone.serial), keep=False).begin()


def test_a_phone_that_never_answers_is_not_waited_for(phone: FakePhone) -> None:
    _replace(phone, "mkdir", "exec sleep 60")
    guard = CleanupGuard(Phone(local_server(), phone.serial), keep=False, begin_s=0.5)
    begun = time.monotonic()
    with pytest.raises(DeviceUnfit, match=r"lets no folder .* be made: it gives no reason"):
        guard.begin()
    assert time.monotonic() - begun < 30


def test_a_phone_that_never_ends_its_clearing_is_not_waited_for(phone: FakePhone) -> None:
    guard = CleanupGuard(Phone(local_server(), phone.serial), keep=False, end_s=0.5)
    guard.begin()
    _replace(phone, "rm", "exec sleep 60")
    begun = time.monotonic()
    guard.end()
    assert time.monotonic() - begun < 30


def test_what_a_killed_clearing_left_is_removed(phone: FakePhone) -> None:
    phone.write(f"{FOLDER}.0123456789abcdef/model", "half gone")
    phone.write(f"{FOLDER}.guardian/journal", "another's")
    guard = CleanupGuard(Phone(local_server(), phone.serial), keep=False)
    guard.begin()
    guard.end()
    assert not phone.path(f"{FOLDER}.0123456789abcdef").exists()
    assert phone.path(f"{FOLDER}.guardian/journal").exists()


def test_an_app_that_a_reboot_left_behind_goes_with_the_next_run(
    phone: FakePhone, bench: Bench, model: Path
) -> None:
    """The guard is gone with all processes; what it leaves says that the app is not the user's."""
    activity = ("--device", "adb", "--launch", "activity", "--reconnect", "0s")
    phone.faults = Faults(runner=RunnerFaults(hang_after_lines=4))

    def reboot() -> None:
        while not [call for call in phone.calls("am") if call[1] == "start"]:
            time.sleep(0.05)
        phone.reboot(0.5)

    rebooting = threading.Thread(target=reboot, daemon=True)
    rebooting.start()
    assert bench("run", model, *activity).code == 12
    rebooting.join()
    assert phone.path(APP).exists()
    phone.faults = Faults()
    until = time.monotonic() + 90
    while (done := bench("run", model, *activity, "--resume")).code != 0:
        assert time.monotonic() < until, done.err
    assert not phone.path(APP).exists()
    assert not phone.path(FOLDER).exists()


def _wait_until_gone(path: Path) -> None:
    until = time.monotonic() + 10
    while path.exists() and time.monotonic() < until:
        time.sleep(0.02)
    assert not path.exists()
