"""Fixtures: a private adb server, and phones connected to it. Import them into a conftest.

The server's port is in ``ANDROID_ADB_SERVER_PORT`` while a test runs, so the code under test finds
it as it finds any other, in this process and in its children.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from phone.adb_server import AdbServer
from phone.fake_phone import FakePhone
from phone.phone_spec import PhoneSpec

Phones = Callable[..., list[FakePhone]]


@pytest.fixture
def adb_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[AdbServer]:
    """A private adb server that this test may kill and start again."""
    server = AdbServer()
    for name, value in server.changes.items():
        if name != "HOME":
            monkeypatch.setenv(name, value)
    monkeypatch.delenv("ANDROID_SERIAL", raising=False)
    try:
        yield server
    finally:
        server.close()


@pytest.fixture
def phones(adb_server: AdbServer) -> Iterator[Phones]:
    """Call it with a number or with specs: so many connected phones, gone after the test."""
    made: list[FakePhone] = []

    def make(count: int = 1, *specs: PhoneSpec) -> list[FakePhone]:
        wanted = specs or tuple(PhoneSpec(serial=f"FAKE{n + 1:04}") for n in range(count))
        new = [FakePhone(spec) for spec in wanted]
        made.extend(new)
        for phone in new:
            connect(adb_server, phone)
        return new

    try:
        yield make
    finally:
        for phone in made:
            phone.close()


@pytest.fixture
def phone(phones: Phones) -> FakePhone:
    """One connected phone."""
    return phones(1)[0]


def connect(server: AdbServer, phone: FakePhone) -> None:
    """Connect a phone now and whenever it is plugged in again."""

    def again() -> None:
        server.connect(phone.address)

    phone.on_plugged = again
    again()
    server.wait_for(phone.serial, "device")
