"""Quoting against a real shell, addresses, listings, advice, and text made safe."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cnn_export.benchmarks.devices.adb.adb_kind import KIND
from cnn_export.benchmarks.devices.adb.app.launch import Placed, app_process_command, options
from cnn_export.benchmarks.devices.adb.connection.addresses import (
    Address,
    chosen,
    parse_address,
)
from cnn_export.benchmarks.devices.adb.connection.device_text import clean
from cnn_export.benchmarks.devices.adb.connection.phone import script_words
from cnn_export.benchmarks.devices.adb.connection.refusals import unfit
from cnn_export.benchmarks.devices.adb.connection.server import AdbServer, parse_listing
from cnn_export.benchmarks.devices.contract import Job
from cnn_export.errors import DeviceUnfit, UsageError

# What a command line can hold at all: no NUL, and no lone surrogates.
WORDS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40)


def _sh(line: str) -> bytes:
    """Run a line as adbd does: as the one argument of `sh -c`."""
    return subprocess.run(["/bin/sh", "-c", line], capture_output=True, check=True).stdout


@given(st.lists(WORDS, max_size=5))
@example(["a b'c\"d$e;f`g\\h*\n", "", "~", "$(touch x)", "-n", "é\x1b"])
def test_words_arrive_in_a_real_shell_as_they_were(words: list[str]) -> None:
    line = shlex.join(["printf", r"%s\0", "first", *words])
    assert _sh(f"exec {line}") == b"".join(f"{word}\0".encode() for word in ["first", *words])


@given(st.lists(WORDS, min_size=1, max_size=5))
def test_values_of_a_script_are_never_part_of_its_text(values: list[str]) -> None:
    line = shlex.join(script_words(r'printf "%s\0" "$@"', *values))
    assert _sh(line) == b"".join(f"{value}\0".encode() for value in values)


@given(WORDS)
def test_the_runners_command_keeps_its_words(value: str) -> None:
    command = app_process_command("/", "/a b/x.apk", "x86", [], [f"artifact=/{value}"])
    programs = 'app_process() { printf "%s\\0" "$CLASSPATH" "$LD_LIBRARY_PATH" "$@"; }\n'
    said = _sh(shlex.join([*command[:2], programs + command[2].replace("exec ", ""), *command[3:]]))
    wanted = ["/a b/x.apk", "/", "/", "org.cnnexport.bench.Main", f"artifact=/{value}"]
    assert said == b"".join(f"{word}\0".encode() for word in wanted)


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("adb", Address()),
        ("adb:0A1B", Address(serial="0A1B")),
        ("adb:192.168.1.5:5555", Address(serial="192.168.1.5:5555")),
        ("adb:[fe80::1%25wlan0]:5555", Address(serial="[fe80::1%25wlan0]:5555")),
        ("adb:adb-1A-x._adb-tls-connect._tcp", Address(serial="adb-1A-x._adb-tls-connect._tcp")),
        ("adb:a b'c\"", Address(serial="a b'c\"")),
        ("adb:farm:5037/0A1B", Address(AdbServer("farm", 5037, remote=True), "0A1B")),
        ("adb:farm:5037/", Address(AdbServer("farm", 5037, remote=True))),
        ("adb:[::1]:99/h:5555", Address(AdbServer("::1", 99, remote=True), "h:5555")),
        ("adb:10.0.0.1:1/a/b c", Address(AdbServer("10.0.0.1", 1, remote=True), "a/b c")),
    ],
)
def test_addresses(name: str, address: Address) -> None:
    assert KIND.means(name)
    assert parse_address(name) == address


@given(st.text(max_size=30))
def test_any_address_is_read_or_refused(text: str) -> None:
    try:
        address = parse_address(f"adb:{text}")
    except UsageError:
        return
    assert address.server is not None or address.serial == text


def test_a_server_is_named_as_it_is_written() -> None:
    assert [str(AdbServer("::1", 5037)), str(AdbServer("h", 1))] == ["[::1]:5037", "h:1"]


def test_a_listing_may_hold_odd_serials() -> None:
    text = (
        "0A1B\tdevice\na b'c\"$(id)\toffline\n\nx\ty\tno permissions (udev); see [url]\n\tdevice\n"
    )
    assert parse_listing(text) == [
        ("0A1B", "device"),
        ("a b'c\"$(id)", "offline"),
        ("x\ty", "no permissions (udev); see [url]"),
    ]


def test_choosing_a_phone() -> None:
    server = AdbServer()
    listing = [("a b", "device"), ("off", "offline")]
    assert chosen(listing, "a b", server) == "a b"
    assert chosen(listing[:1], None, server) == "a b"
    with pytest.raises(UsageError, match=r"a b, off \(offline\)"):
        chosen(listing, None, server)
    with pytest.raises(DeviceUnfit, match="off is offline"):
        chosen(listing, "off", server)
    with pytest.raises(DeviceUnfit, match=r"ab is not connected .there: a b, off.*'a b'\?"):
        chosen(listing, "ab", server)


@pytest.mark.parametrize(
    ("reason", "advice"),
    [
        ("device unauthorized.\nThis adb server's $ADB_VENDOR_KEYS is not set", "accept"),
        ("no permissions (missing udev rules? user is in the plugdev group)", "udev rule"),
        ("device 'x' not found", "check the cable"),
        ("sideload", "adb reboot"),
        ("something \x1b[31mnew\x1b[0m", "adb says: something new"),
    ],
)
def test_a_phone_that_cannot_be_used_has_its_advice(reason: str, advice: str) -> None:
    error = unfit("s\x1b[2J1", reason)
    assert error.exit_code == 12
    assert str(error).isprintable()
    assert str(error).startswith("phone s1 ")
    assert advice in str(error)


@given(st.text(), st.integers(1, 50))
@example("\x1b]0;title\x07a\x9b31mb\x1b[1;31mc\x1b(Bd\x1bP x \x1b\\e", 50)
def test_cleaned_text_is_one_short_printable_line(text: str, limit: int) -> None:
    cleaned = clean(text, limit)
    assert cleaned.isprintable()
    assert len(cleaned) <= limit
    assert clean(cleaned, limit) == cleaned


def test_cleaned_text_loses_commands_only() -> None:
    assert clean("\x1b]0;title\x07a\x9b31mb\x1b[1;31mc\x1b(Bd\x1bP x \x1b\\e\x08") == "abcde\\x08"
    assert clean(b"caf\xc3\xa9 \xff\n 1") == "café \ufffd 1"
    assert clean("x" * 300) == "x" * 199 + "…"


def test_the_runners_options() -> None:
    job = Job("pair", (Path("a"), Path("b")), 2, 0.00001, (), {"spinning": "off"}, True, 7)
    assert options(job, [Placed("/a", "/pa"), Placed("/b", "/pb")]) == [
        "protocol=3",
        "kind=pair",
        "artifact=/a",
        "probe=/pa",
        "artifact.b=/b",
        "probe.b=/pb",
        "threads=2",
        "min_time_s=0.000010",
        "b_first=true",
        "block=7",
        "runtime_arg.spinning=off",
    ]
