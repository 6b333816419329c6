"""Our side of adb against Debian's real adbd. Run by ``test_real_adbd.py`` in a network namespace.

adbd answers there on port 5555 of every address, which is nobody's but ours. Its phone is this
machine: files go to a private folder.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from phone.real_adbd.daemon import SERIAL, WITHOUT_VSOCK, adbd

from cnn_export.benchmarks.devices.adb.connection.phone import Phone
from cnn_export.benchmarks.devices.adb.connection.server import local_server
from cnn_export.errors import DestinationError, DeviceUnfit, InputRefused

ODD_WORDS = [
    "a b",
    "'",
    '"',
    "$HOME",
    "`id`",
    "$(id)",
    "a\\b",
    "*",
    "ü",
    "",
    "a\nb",
    ";",
    "&",
    "-n",
]


@pytest.fixture(scope="module")
def phone() -> Iterator[Phone]:
    """This machine as a phone, behind a private adb server."""
    with adbd([]) as server:
        yield Phone(server, SERIAL)


def test_the_phone_is_there_once(phone: Phone) -> None:
    assert local_server().devices() == [(SERIAL, "device")]


def test_no_other_way_in() -> None:
    """The VM socket, which the namespace would not hold in, is refused; others are not."""
    for family, error in (("AF_INET", ""), ("AF_UNIX", ""), ("AF_VSOCK", "Errno 97")):
        words = [sys.executable, "-c", f"import socket; socket.socket(socket.{family})"]
        tried = subprocess.run(
            [sys.executable, "-I", "-S", str(WITHOUT_VSOCK), *words], capture_output=True, text=True
        )
        assert (tried.returncode == 0) == (not error)
        assert error in tried.stderr


def test_outputs_and_status(phone: Phone) -> None:
    done = phone.script("echo out; echo err >&2; exit 7")
    assert (done.stdout, done.stderr, done.exit_code) == (b"out\n", b"err\n", 7)


def test_words_arrive_as_they_left(phone: Phone) -> None:
    done = phone.shell(["printf", "%s\\0", *ODD_WORDS])
    assert done.stdout.decode().split("\0")[:-1] == ODD_WORDS
    done = phone.script('printf "%s\\0" "$@"', *ODD_WORDS)
    assert done.stdout.decode().split("\0")[:-1] == ODD_WORDS


@pytest.mark.parametrize("name", ["plain", "a b'c\"d$e;f`g\\h*ü", "-rf", "a,0644"])
def test_files_there_and_back(phone: Phone, tmp_path: Path, name: str) -> None:
    source, back = tmp_path / "source", tmp_path / "back"
    source.write_bytes(os.urandom(3_000_000))
    target = f"{tmp_path}/on phone/{name}"
    phone.push(source, target)
    assert Path(target).read_bytes() == source.read_bytes()
    assert phone.shell(["sha256sum", "--", target]).exit_code == 0
    phone.pull(target, back)
    assert back.read_bytes() == source.read_bytes()


def test_what_is_not_there(phone: Phone, tmp_path: Path) -> None:
    with pytest.raises(InputRefused, match="No such file"):
        phone.pull(f"{tmp_path}/nothing", tmp_path / "back")
    assert phone.read_text(f"{tmp_path}/nothing") == ""
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk(phone: Phone, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(bytes(200_000))
    with pytest.raises(DestinationError, match="no space left"):
        phone.push(source, "/dev/full")


def test_closing_hangs_up(phone: Phone, tmp_path: Path) -> None:
    mark = tmp_path / "hung up"
    text = 'trap "touch \\"$1\\"; exit" HUP; echo begun; while :; do sleep 0.1; done'
    running = phone.start(["sh", "-c", text, "sh", str(mark)])
    assert next(running.lines()) == b"begun\n"
    running.close()
    deadline = time.monotonic() + 10
    while not mark.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert mark.exists()


def test_much_output_comes_whole(phone: Phone) -> None:
    done = phone.script("head -c 5000000 /dev/zero")
    assert len(done.stdout) == 5_000_000


def test_a_command_without_end_is_given_up(phone: Phone) -> None:
    with pytest.raises(DeviceUnfit):
        phone.shell(["sleep", "60"], timeout_s=1)
