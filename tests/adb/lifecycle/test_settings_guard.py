"""Change a phone's settings and have them put back, whatever happens to the host."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest
from local_phone import LocalPhone

from cnn_export.benchmarks.devices.adb.connection.phone import Phone
from cnn_export.benchmarks.devices.adb.lifecycle.settings_guard import SettingsGuard
from cnn_export.errors import DeviceLost, DeviceUnfit

WANTED = ("stay_on_while_plugged_in=7", "screen=on", "fixed_performance=on")


@pytest.fixture(params=["dash", "mksh", "bash"])
def phone(request: pytest.FixtureRequest, tmp_path: Path) -> LocalPhone:
    """A sleeping phone; mksh is Android's own shell."""
    if shutil.which(request.param) is None:
        pytest.skip(f"{request.param} is not installed")
    made = LocalPhone(tmp_path / "a phone's", shell=request.param)
    made.write("wakefulness", "Dozing")
    made.write("global.stay_on_while_plugged_in", "0")
    return made


def _guard(phone: LocalPhone, *wanted: str, patience_s: float = 20.0) -> SettingsGuard:
    folder = str(phone.tmp / "guard")
    return SettingsGuard(cast(Phone, phone), wanted or WANTED, folder, patience_s, looks=3)


def _is_restored(phone: LocalPhone) -> bool:
    return (
        phone.read("global.stay_on_while_plugged_in") == "0"
        and phone.read("wakefulness") == "Asleep"
        and phone.read("fixed_performance") == "false"
        and not (phone.tmp / "guard").exists()
    )


def _is_changed(phone: LocalPhone) -> bool:
    return (
        phone.read("global.stay_on_while_plugged_in") == "7"
        and phone.read("wakefulness") == "Awake"
        and phone.read("fixed_performance") == "true"
    )


def _soon(holds: Callable[[], bool]) -> bool:
    until = time.monotonic() + 10
    while not holds() and time.monotonic() < until:
        time.sleep(0.02)
    return holds()


def test_changes_are_made_recorded_and_put_back(phone: LocalPhone) -> None:
    guard = _guard(phone)
    guard.begin()
    assert _is_changed(phone)
    assert [(c.name, c.before, c.during) for c in guard.changes] == [
        ("stay_on_while_plugged_in", "0", "7"),
        ("screen", "off", "on"),
        ("fixed_performance", "unknown", "on"),
    ]
    assert guard.holds()
    assert guard.end() == []
    assert _is_restored(phone)
    assert not guard.holds()


def test_a_setting_that_was_absent_is_absent_again(phone: LocalPhone) -> None:
    (phone.state / "global.stay_on_while_plugged_in").unlink()
    guard = _guard(phone)
    guard.begin()
    assert phone.read("global.stay_on_while_plugged_in") == "7"
    guard.end()
    assert phone.read("global.stay_on_while_plugged_in") is None


def test_what_is_right_already_is_left_alone(phone: LocalPhone) -> None:
    phone.write("global.stay_on_while_plugged_in", "7")
    phone.write("wakefulness", "Awake")
    guard = _guard(phone, "stay_on_while_plugged_in=7", "screen=on")
    guard.begin()
    assert guard.changes == []
    guard.end()
    assert phone.read("wakefulness") == "Awake"
    assert "put" not in (phone.read("calls") or "")


def test_what_somebody_else_changed_meanwhile_stays(phone: LocalPhone) -> None:
    guard = _guard(phone)
    guard.begin()
    phone.write("global.stay_on_while_plugged_in", "3")
    assert guard.end() == []
    assert phone.read("global.stay_on_while_plugged_in") == "3"


@pytest.mark.parametrize("how", ["host killed", "cable pulled"])
def test_the_phone_puts_back_by_itself(phone: LocalPhone, how: str) -> None:
    guard = _guard(phone)
    guard.begin()
    if how == "cable pulled":
        phone.lose()
    else:
        phone.started[0].close()
    assert _soon(lambda: _is_restored(phone))


def test_a_reboot_leaves_a_journal_that_the_next_run_replays(phone: LocalPhone) -> None:
    _guard(phone).begin()
    os.killpg(phone.started[0].pid, signal.SIGKILL)
    assert _is_changed(phone)
    assert (phone.tmp / "guard/journal").exists()
    following = _guard(phone, "screen=on")
    following.begin()
    assert phone.read("global.stay_on_while_plugged_in") == "0"
    assert phone.read("fixed_performance") == "false"
    assert [(c.name, c.before) for c in following.changes] == [("screen", "off")]
    assert following.end() == []
    assert _is_restored(phone)


def test_after_a_reconnect_the_same_changes_are_made_anew(phone: LocalPhone) -> None:
    guard = _guard(phone)
    guard.begin()
    phone.lose()
    phone.gone = False
    guard.begin()
    assert _is_changed(phone)
    assert guard.holds()
    assert [c.before for c in guard.changes] == ["0", "off", "unknown"]
    assert guard.end() == []
    assert _is_restored(phone)


def test_a_second_run_is_refused_and_harms_nothing(phone: LocalPhone) -> None:
    first = _guard(phone)
    first.begin()
    second = _guard(phone)
    with pytest.raises(DeviceUnfit, match="another cnn-bench holds phone local"):
        second.begin()
    assert second.end() == []
    assert _is_changed(phone)
    assert first.end() == []
    assert _is_restored(phone)


def test_a_refused_mode_is_told_and_the_rest_is_done(phone: LocalPhone) -> None:
    phone.write("no_fixed_performance", "")
    guard = _guard(phone)
    guard.begin()
    assert guard.refusals == {"fixed_performance": "Failed to set FIXED_PERFORMANCE mode"}
    assert [c.name for c in guard.changes] == ["stay_on_while_plugged_in", "screen"]


def test_what_cannot_be_put_back_is_told_and_tried_again(phone: LocalPhone) -> None:
    guard = _guard(phone)
    guard.begin()
    phone.write("broken.settings", "")
    assert [(c.name, c.before) for c in guard.end()] == [("stay_on_while_plugged_in", "0")]
    with pytest.raises(
        DeviceUnfit, match=r"does not put back .*stay_on_while_plugged_in \(was 0\)"
    ):
        _guard(phone).begin()
    (phone.state / "broken.settings").unlink()
    following = _guard(phone)
    following.begin()
    assert following.changes[0].before == "0"
    following.end()
    assert _is_restored(phone)


def test_without_room_for_the_journal_nothing_is_changed(phone: LocalPhone) -> None:
    full = phone.tmp / "guard"
    full.mkdir()
    (full / "journal.new").mkdir()  # what is a folder cannot be written, as on a full disk
    with pytest.raises(DeviceUnfit, match=r"cannot write .*journal: is its disk full"):
        _guard(phone).begin()
    assert phone.read("global.stay_on_while_plugged_in") == "0"
    assert phone.read("fixed_performance") is None


def test_a_hostile_journal_runs_nothing(phone: LocalPhone) -> None:
    folder = phone.tmp / "guard"
    folder.mkdir()
    bait = phone.tmp / "bait"
    (folder / "journal").write_text(
        f"$(touch {bait}) 0 7\nstay_on_while_plugged_in $(touch${{IFS}}{bait}) 0\n"
    )
    guard = _guard(phone)
    with pytest.raises(DeviceUnfit):
        guard.begin()
    assert not bait.exists()


def test_a_phone_that_hangs_is_given_up(phone: LocalPhone) -> None:
    (phone.state.parent / "bin/settings").write_text("#!/bin/sh\nexec sleep 60\n")
    with pytest.raises(DeviceLost):
        _guard(phone, patience_s=0.5).begin()
    for running in phone.started:
        os.killpg(running.pid, signal.SIGKILL)


def test_a_phone_that_is_gone_at_the_end_is_told(phone: LocalPhone) -> None:
    guard = _guard(phone)
    guard.begin()
    os.killpg(phone.started[0].pid, signal.SIGKILL)
    assert [c.name for c in guard.end()] == [
        "stay_on_while_plugged_in",
        "screen",
        "fixed_performance",
    ]
