"""Guard, watch, lose and regain a phone through the real adb client and server."""

from __future__ import annotations

import contextlib
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from phone.adb_fixture import Phones
from phone.fake_phone import FakePhone
from phone.phone_spec import PhoneSpec
from phone.reports import Battery, Thermal
from scripted_sessions import session_of

from cnn_export.benchmarks.devices.adb.connection.phone import Phone
from cnn_export.benchmarks.devices.adb.connection.server import local_server
from cnn_export.benchmarks.devices.adb.lifecycle.phone_lifecycle import PhoneLifecycle, PhonePolicy
from cnn_export.benchmarks.devices.adb.lifecycle.settings_policy import SettingsPolicy
from cnn_export.benchmarks.devices.adb.lifecycle.waiting import Limits
from cnn_export.benchmarks.devices.adb.watch.watcher import Watcher, announcing
from cnn_export.benchmarks.results.session import Session
from cnn_export.errors import Interrupted, UsageError

STAY_ON = "global/stay_on_while_plugged_in"
QUICK = PhonePolicy(limits=Limits(wait_s=0.0), reconnect_s=15.0)


def _lifecycle(phone: FakePhone, policy: PhonePolicy = QUICK) -> PhoneLifecycle:
    return PhoneLifecycle(_adb(phone), policy)


def _adb(phone: FakePhone) -> Phone:
    return Phone(local_server(), phone.serial)


def _soon(holds: Callable[[], bool], within_s: float = 15) -> bool:
    until = time.monotonic() + within_s
    while not holds() and time.monotonic() < until:
        time.sleep(0.02)
    return holds()


def _restored(phone: FakePhone) -> bool:
    return (
        STAY_ON not in phone.settings
        and not phone.fixed_performance
        and not phone.path("/data/local/tmp/cnn-bench.guardian").exists()
    )


def _changed(phone: FakePhone) -> bool:
    return phone.settings.get(STAY_ON) == "7" and phone.fixed_performance


def _work(
    phone: FakePhone, meanwhile: Callable[[], object] = lambda: None, *, announced: bool = True
) -> Callable[[Watcher], Session]:
    """Run a real process there, and do ``meanwhile`` while it is timed."""
    script = ["sh", "-c", "echo hello; cat; echo x"]
    command = announcing(script) if announced else script

    def work(watcher: Watcher) -> Session:
        running = _adb(phone).start(command)
        lines = running.lines()
        next(lines)
        watcher.begin()
        begin_s = time.monotonic()
        _watched(watcher)
        meanwhile()
        _watched(watcher)
        running.close_stdin()
        next(lines, None)
        watcher.finish()
        running.wait()
        return session_of(time.monotonic() - begin_s)

    return work


def _watched(watcher: Watcher) -> None:
    """Let the loop look twice more: its first round may have begun before."""
    enough = watcher.rounds + 2
    until = time.monotonic() + 5
    while watcher.rounds < enough and time.monotonic() < until:
        time.sleep(0.01)


def test_settings_hold_for_a_run_and_are_back_after_it(phone: FakePhone) -> None:
    lifecycle = _lifecycle(phone)
    with lifecycle.prepared() as preparation:
        assert _changed(phone)
        names = {change.name: change.before for change in preparation.changes}
        assert names == {"stay_on_while_plugged_in": "null", "fixed_performance": "unknown"}
    assert _restored(phone)
    assert preparation.notes == []


def test_the_timed_part_is_watched(phone: FakePhone) -> None:
    lifecycle = _lifecycle(phone)
    with lifecycle.prepared():
        found = lifecycle.run(_work(phone), cpus=[4, 5]).conditions
    assert found.flags == []
    assert found.cpus == [4, 5]
    assert len(found.clock_khz) >= 3
    assert set(found.clock_khz) == {2_850_000}
    assert found.cluster_khz is not None
    assert set(found.cluster_khz) == {"0-3", "4-7"}
    assert set(found.temperature_c) == {36.5}
    assert found.watcher_load is not None
    assert 0 <= found.watcher_load < 0.5
    assert ["taskset", "-p", "f", str] == [*phone.calls("taskset")[0][:3], str]


def test_a_lost_phone_comes_back_and_the_process_is_repeated(phone: FakePhone) -> None:
    tries: list[int] = []

    def pull() -> None:
        tries.append(1)
        if len(tries) == 1:
            phone.unplug()
            threading.Timer(0.5, phone.plug).start()

    lifecycle = _lifecycle(phone)
    with lifecycle.prepared():
        outcome = lifecycle.run(_work(phone, pull))
        assert len(tries) == 2
        assert outcome.conditions.flags == []
        assert _changed(phone)
    assert _restored(phone)


@pytest.mark.parametrize("way", ["app_process", "nowhere"])
def test_whose_load_it_was_is_told_where_the_process_is_known(phone: FakePhone, way: str) -> None:
    """The kernel's counts move while the process runs: half of them were nobody's of ours."""

    def busier() -> None:
        phone.write("/proc/stat", "cpu  600 0 100 9400 0 0 0 0 0 0\n")

    lifecycle = _lifecycle(phone)
    with lifecycle.prepared():
        work = _work(phone, busier, announced=way == "app_process")
        found = lifecycle.run(work).conditions
    if way == "app_process":
        assert found.others_load == pytest.approx(500 / 900, abs=0.1)
        assert found.flags == ["others_busy"]
    else:
        assert (found.others_load, found.flags) == (None, [])


@pytest.mark.parametrize(
    ("file", "flag"),
    [("scaling_cur_freq", "clock_moved"), ("scaling_max_freq", "throttled")],
)
def test_a_clock_that_falls_meanwhile_is_flagged(phone: FakePhone, file: str, flag: str) -> None:
    def fall() -> None:
        phone.write(f"/sys/devices/system/cpu/cpufreq/policy4/{file}", "1900000\n")

    lifecycle = _lifecycle(phone)
    with lifecycle.prepared():
        found = lifecycle.run(_work(phone, fall)).conditions
    assert found.flags == [flag]


def test_heat_that_rises_meanwhile_is_flagged(phone: FakePhone) -> None:
    def heat() -> None:
        phone.thermal = Thermal(status=2)

    lifecycle = _lifecycle(phone)
    with lifecycle.prepared():
        assert lifecycle.run(_work(phone, heat)).conditions.flags == ["throttled"]
        assert lifecycle.run(_work(phone)).conditions.flags == ["thermal_throttled"]


def test_a_phone_without_readable_kernel_files_is_measured_all_the_same(phone: FakePhone) -> None:
    shutil.rmtree(phone.path("/sys"))
    phone.path("/proc/stat").unlink()
    lifecycle = _lifecycle(phone)
    with lifecycle.prepared():
        found = lifecycle.run(_work(phone)).conditions
    assert (found.clock_khz, found.cluster_khz, found.others_load) == ([], None, None)
    assert found.temperature_c == [30.0, 30.0]  # the skin's, before and after
    assert found.flags == []


def test_a_shell_that_cannot_watch_is_named(phone: FakePhone) -> None:
    """It ends before it has said anything; the process is timed all the same."""
    sh = phone.path("/system/bin/sh")
    sh.unlink()
    sh.write_text('#!/bin/sh\ncase $3 in cnn-bench-watcher) exit 1 ;; esac\nexec /bin/sh "$@"\n')
    sh.chmod(0o755)
    lifecycle = _lifecycle(phone)
    with lifecycle.prepared():
        found = lifecycle.run(lambda watcher: session_of(0.01)).conditions
    assert (found.clock_khz, found.flags) == ([], ["unwatched"])


def test_limits_flag_what_is_still_unfit_after_the_wait(phone: FakePhone) -> None:
    phone.battery = Battery(level=12, temperature_c=45.0)
    lifecycle = _lifecycle(phone)
    assert lifecycle.unfit() == ["hot", "low_battery"]
    with lifecycle.prepared():
        assert lifecycle.run(_work(phone)).conditions.flags == ["hot", "low_battery"]


def test_a_wait_in_vain_is_not_repeated_until_the_phone_was_fit(phone: FakePhone) -> None:
    told: list[str] = []
    policy = PhonePolicy(limits=Limits(wait_s=0.3))
    lifecycle = PhoneLifecycle(_adb(phone), policy, told.append)
    phone.battery = Battery(temperature_c=45.0)
    assert [lifecycle.unfit(), lifecycle.unfit()] == [["hot"], ["hot"]]
    assert len(told) == 1
    phone.battery = Battery()
    assert lifecycle.unfit() == []
    phone.battery = Battery(temperature_c=45.0)
    assert lifecycle.unfit() == ["hot"]
    assert len(told) == 2


def test_fixed_performance_is_refused_by_name_and_left_out_by_itself(phones: Phones) -> None:
    [old] = phones(1, PhoneSpec(api=29))
    asked = PhonePolicy(SettingsPolicy("on"), QUICK.limits)
    with (
        pytest.raises(UsageError, match=r"needs Android 11 .*this phone has API level 29"),
        _lifecycle(old, asked).prepared(),
    ):
        pass
    with _lifecycle(old).prepared() as preparation:
        assert [change.name for change in preparation.changes] == ["stay_on_while_plugged_in"]
    assert _restored(old)


def test_a_phone_that_refuses_the_mode_is_put_back(phone: FakePhone) -> None:
    cmd = phone.path("/system/bin/cmd")
    cmd.unlink()
    cmd.write_text("#!/bin/sh\necho Failed to set FIXED_PERFORMANCE mode >&2\nexit 255\n")
    cmd.chmod(0o755)
    with (
        pytest.raises(UsageError, match=r"not switch fixed-performance .*FIXED_PERFORMANCE mode\)"),
        _lifecycle(phone, PhonePolicy(SettingsPolicy("on"), QUICK.limits)).prepared(),
    ):
        pass
    assert _restored(phone)
    with _lifecycle(phone).prepared() as preparation:
        assert [change.name for change in preparation.changes] == ["stay_on_while_plugged_in"]


def test_nothing_is_changed_where_nothing_is_wished(phone: FakePhone) -> None:
    policy = PhonePolicy(SettingsPolicy("off", awake=False), QUICK.limits)
    with _lifecycle(phone, policy).prepared() as preparation:
        assert preparation.changes == []
        assert (phone.settings, phone.fixed_performance) == ({}, False)


def test_without_a_charger_the_display_is_kept_on_by_its_time_out(phone: FakePhone) -> None:
    phone.battery = Battery(plugged=False)
    phone.write("/.phone/settings/system/screen_off_timeout", "30000\n")
    with _lifecycle(phone).prepared():
        assert phone.settings["system/screen_off_timeout"] == "1800000"
    assert phone.settings["system/screen_off_timeout"] == "30000"


def test_stop_ends_what_another_thread_does(phone: FakePhone) -> None:
    lifecycle = _lifecycle(phone)
    ended: list[BaseException] = []

    def work(watcher: Watcher) -> Session:
        running = _adb(phone).start(["sleep", "60"])
        lifecycle.started(running)
        running.wait()
        return session_of(1)

    def run() -> None:
        with lifecycle.prepared():
            try:
                lifecycle.run(work)
            except BaseException as error:
                ended.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    assert _soon(lambda: any("sleep" in _words(pid) for pid in phone.processes()))
    lifecycle.stop("terminated")
    thread.join(20)
    assert not thread.is_alive()
    assert isinstance(ended[0], Interrupted)
    assert str(ended[0]) == "terminated"
    assert _restored(phone)


def _words(pid: int) -> list[str]:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    return []
