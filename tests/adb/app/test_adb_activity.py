"""``--launch activity``: the app installed, in the foreground, its report read from its file."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
from bench_calls import Bench, records, write_apk
from phone.fake_phone import FakePhone
from phone.faults import Faults, RunnerFaults

OUT = Path("results.jsonl")
APP = "/data/app/org.cnnexport.bench/base.apk"
FILES = "/data/data/org.cnnexport.bench/files"
MEDIA = "/sdcard/Android/media/org.cnnexport.bench"
STAGE = "/data/local/tmp/cnn-bench"
WORDS = ("--device", "adb", "--launch", "activity")


def test_the_app_is_there_for_the_run_only(phone: FakePhone, bench: Bench, model: Path) -> None:
    done = bench("run", model, *WORDS)
    assert done.code == 0, done.err
    assert records(OUT, "run")[0]["device"]["launch"] == "activity"
    assert [len(each["samples_ns"]) for each in records(OUT, "repeat")] == [12, 12]
    starts = [call for call in phone.calls("am") if call[1] == "start"]
    assert len(starts) == 3
    assert starts[0][2:4] == ["-n", "org.cnnexport.bench/.RunActivity"]
    assert len([call for call in phone.calls("pm") if call[1] == "install"]) == 1
    assert not phone.path(APP).exists()
    assert not phone.path(STAGE).exists()
    assert not phone.path(MEDIA).exists()
    assert phone.calls("app_process") == []


def test_every_repeat_is_a_process_of_its_own(phone: FakePhone, bench: Bench, model: Path) -> None:
    """An app's process stays alive when its work is done: it has to be ended."""
    assert bench("run", model, *WORDS).code == 0
    verbs = [call[1] for call in phone.calls("am")]
    assert verbs == ["get-current-user", "force-stop", "start", "force-stop"] * 3


def test_an_app_that_was_there_stays(
    phone: FakePhone, bench: Bench, model: Path, apk: Path
) -> None:
    phone.write(APP, "")
    phone.path(APP).write_bytes(apk.read_bytes())
    phone.path(FILES).mkdir(parents=True)
    phone.write(f"{FILES}/mine", "x")
    phone.write(f"{MEDIA}/mine", "x")
    assert bench("run", model, *WORDS).code == 0
    assert not [call for call in phone.calls("pm") if call[1] != "path"]
    assert [path.name for path in phone.path(FILES).iterdir()] == ["mine"]
    assert [path.name for path in phone.path(MEDIA).iterdir()] == ["mine"]


def test_another_build_is_replaced_and_stays(
    phone: FakePhone, bench: Bench, model: Path, apk: Path, tmp_path: Path
) -> None:
    older = write_apk(tmp_path / "older.apk", "arm64-v8a", dex=b"older")
    phone.write(APP, "")
    phone.path(APP).write_bytes(older.read_bytes())
    phone.path(FILES).mkdir(parents=True)
    assert bench("run", model, *WORDS).code == 0
    assert phone.path(APP).read_bytes() == apk.read_bytes()


def test_the_phone_is_left_alone_while_it_measures(
    phone: FakePhone, bench: Bench, model: Path
) -> None:
    """Between the look for the process and the report, no program is started but `sleep`."""
    pidof, sleep = phone.path("/system/bin/pidof"), phone.path("/system/bin/sleep")
    real = {each: each.resolve() for each in (pidof, sleep)}
    for each in real:
        each.unlink()
        each.write_text(
            f'#!/bin/sh\n"$PHONE_ROOT/.phone/log_call" {each.name} "$@"\nexec {real[each]} "$@"\n'
        )
        each.chmod(0o755)
    assert bench("run", model, *WORDS, "--min-time", "3s", "--repeats", 1).code == 0
    names = [call[0] for call in phone.calls() if call[0] != "sleep" or call[1] == "1"]
    starts = [index for index, name in enumerate(names) if name == "pidof"]
    assert len(starts) < 10
    last = names[starts[-1] + 1 :]
    assert last.count("sleep") >= 2
    assert last[: last.index("am")] == ["sleep"] * last.index("am")


def test_a_report_that_cannot_be_written(phone: FakePhone, bench: Bench, model: Path) -> None:
    """Nobody waits for the time limit; the app's last words are told."""
    phone.write(MEDIA, "a file where its folder should be")
    done = bench("run", model, *WORDS, "--quiet", "--timeout", "60s")
    assert done.code == 1
    assert "ended without a report" in done.err
    assert "cannot write the report: Not a directory" in done.err
    assert "no end after" not in done.err
    assert not phone.path(APP).exists()


def test_an_earlier_report_is_not_taken_for_this_one(
    phone: FakePhone, bench: Bench, model: Path
) -> None:
    report = phone.path(f"{MEDIA}/cnn-bench-report.jsonl")
    report.mkdir(parents=True)
    done = bench("run", model, *WORDS, "--quiet")
    assert done.code == 1
    assert "of an earlier run: remove it on the phone" in done.err
    assert not [call for call in phone.calls("am") if call[1] == "start"]


def test_another_users_screen(phone: FakePhone, bench: Bench, model: Path) -> None:
    phone.write("/.phone/user", "10\n")
    done = bench("run", model, *WORDS, "--quiet")
    assert done.code == 1
    assert "another user than the phone's first" in done.err


@pytest.mark.parametrize(
    ("failure", "words"),
    [
        ("INSTALL_FAILED_UPDATE_INCOMPATIBLE: signatures", "adb uninstall org.cnnexport.bench"),
        ("INSTALL_FAILED_USER_RESTRICTED: Install canceled by user", "Install via USB"),
        ("INSTALL_FAILED_INSUFFICIENT_STORAGE", "no space left"),
        ("INSTALL_FAILED_NO_MATCHING_ABIS: Failed to extract", "make app ABIS"),
        ("INSTALL_FAILED_SOMETHING_NEW: \x1b[31mred", "INSTALL_FAILED_SOMETHING_NEW: red"),
    ],
)
def test_a_phone_that_does_not_take_the_app(
    phone: FakePhone, bench: Bench, model: Path, failure: str, words: str
) -> None:
    pm = phone.path("/system/bin/pm")
    pm.unlink()
    pm.write_text(f"#!/bin/sh\n[ $1 = install ] && printf 'Failure [{failure}]\\n'; exit 1\n")
    pm.chmod(0o755)
    done = bench("run", model, *WORDS)
    assert done.code == 12
    assert words in done.err
    assert done.err.removesuffix("\n").isprintable()
    assert not phone.path(STAGE).exists()


@pytest.mark.parametrize(
    ("faults", "words"),
    [
        (RunnerFaults(kill_after_lines=4), "ended without a report: it crashed or was killed; see"),
        (RunnerFaults(half_line=5), "damaged"),
        (RunnerFaults(lines_after_end=2), "after its 'end'"),
    ],
)
def test_a_process_that_does_not_count(
    phone: FakePhone, bench: Bench, model: Path, faults: RunnerFaults, words: str
) -> None:
    phone.faults = Faults(runner=faults)
    done = bench("run", model, *WORDS, "--quiet")
    assert done.code == 1
    assert words in done.err
    assert not phone.path(APP).exists()


def test_an_app_that_hangs_is_stopped(phone: FakePhone, bench: Bench, model: Path) -> None:
    phone.faults = Faults(runner=RunnerFaults(hang_after_lines=4))
    done = bench("run", model, *WORDS, "--quiet", "--timeout", "2s")
    assert done.code == 1
    assert "no end after 2 s" in done.err
    until = time.monotonic() + 10
    while [call[1] for call in phone.calls("am")][-1] != "force-stop" and time.monotonic() < until:
        time.sleep(0.05)
    assert [call[1] for call in phone.calls("am")][-2:] == ["start", "force-stop"]


def test_a_pulled_cable_takes_the_app_away_too(phone: FakePhone, bench: Bench, model: Path) -> None:
    phone.faults = Faults(runner=RunnerFaults(hang_after_lines=4))
    gone: list[bool] = []

    def pull() -> None:
        until = time.monotonic() + 30
        while not [call for call in phone.calls("am") if call[1] == "start"]:
            time.sleep(0.05)
        phone.unplug()
        while phone.path(STAGE).exists() and time.monotonic() < until:
            time.sleep(0.05)
        while phone.path(APP).exists() and time.monotonic() < until:
            time.sleep(0.05)
        gone.append(not phone.path(APP).exists() and not phone.path(STAGE).exists())
        phone.faults = Faults()
        phone.plug()

    puller = threading.Thread(target=pull, daemon=True)
    puller.start()
    done = bench("run", model, *WORDS)
    puller.join()
    assert gone == [True]
    assert done.code == 0, done.err  # brought and installed again
    assert not phone.path(APP).exists()


def test_an_app_that_cannot_be_read_is_still_the_users(
    phone: FakePhone, bench: Bench, model: Path
) -> None:
    pm = phone.path("/system/bin/pm")
    pm.unlink()
    pm.write_text(
        '#!/bin/sh\necho "$1" >>"$PHONE_ROOT/.phone/verbs"\n'
        '[ "$1" = path ] && echo package:/data/app/unreadable || echo Success\n'
    )
    pm.chmod(0o755)
    bench("run", model, *WORDS)
    assert phone.read("/.phone/verbs").split() == ["path", "install"]


def test_an_activity_that_may_not_be_started(phone: FakePhone, bench: Bench, model: Path) -> None:
    am = phone.path("/system/bin/am")
    am.unlink()
    am.write_text("#!/bin/sh\necho 'java.lang.SecurityException: Permission Denial: DUMP'\n")
    am.chmod(0o755)
    done = bench("run", model, *WORDS, "--quiet")
    assert done.code == 1
    assert "Permission Denial: DUMP" in done.err
