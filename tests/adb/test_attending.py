"""Guard, watch, lose and regain a phone through the real adb client and server."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from phone.fake_phone import FakePhone
from scripted_sessions import session_of

from cnn_export.benchmarks.adb.attendant import Attendant, Care
from cnn_export.benchmarks.adb.phone import Phone
from cnn_export.benchmarks.adb.server import local_server
from cnn_export.benchmarks.adb.waiting import Limits
from cnn_export.benchmarks.adb.watcher import Watcher, announcing
from cnn_export.benchmarks.session import Session

STAY_ON = "global/stay_on_while_plugged_in"
QUICK = Care(limits=Limits(wait_s=0.0), reconnect_s=15.0)


def _attendant(phone: FakePhone, care: Care = QUICK) -> Attendant:
    return Attendant(_adb(phone), care)


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


def _work(phone: FakePhone, seconds: float = 0.6) -> Callable[[Watcher], Session]:
    """Run a real process there; its session says that it timed for so long."""

    def work(watcher: Watcher) -> Session:
        running = _adb(phone).start(
            announcing(["sh", "-c", f"echo hello; sleep {seconds}; echo x"])
        )
        lines = running.lines()
        next(lines)
        watcher.begin()
        next(lines, None)
        watcher.finish()
        running.wait()
        return session_of(seconds)

    return work


def test_settings_hold_for_a_run_and_are_back_after_it(phone: FakePhone) -> None:
    attendant = _attendant(phone)
    with attendant.prepared() as preparation:
        assert _changed(phone)
        names = {change.name: change.before for change in preparation.changes}
        assert names == {"stay_on_while_plugged_in": "null", "fixed_performance": "unknown"}
    assert _restored(phone)
    assert preparation.notes == []


def test_the_timed_part_is_watched(phone: FakePhone) -> None:
    attendant = _attendant(phone)
    with attendant.prepared():
        found = attendant.run(_work(phone), cpus=[4, 5]).conditions
    assert found.flags == []
    assert found.cpus == [4, 5]
    assert 1 <= len(found.clock_khz) <= 6
    assert set(found.clock_khz) == {2_850_000}
    assert found.cluster_khz is not None
    assert set(found.cluster_khz) == {"0-3", "4-7"}
    assert set(found.temperature_c) == {36.5}
    assert found.watcher_load is not None
    assert 0 <= found.watcher_load < 0.5
    assert ["taskset", "-p", "f", str] == [*phone.calls("taskset")[0][:3], str]


def test_a_lost_phone_comes_back_and_the_process_is_repeated(phone: FakePhone) -> None:
    tries: list[int] = []

    def work(watcher: Watcher) -> Session:
        tries.append(1)
        if len(tries) == 1:
            threading.Timer(0.3, phone.unplug).start()
            threading.Timer(1.0, phone.plug).start()
        return _work(phone)(watcher)

    attendant = _attendant(phone)
    with attendant.prepared():
        outcome = attendant.run(work)
        assert len(tries) == 2
        assert outcome.conditions.flags == []
        assert _changed(phone)
    assert _restored(phone)
