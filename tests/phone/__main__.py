"""Start a private adb server and a phone, and say how to reach them, until Ctrl-C."""

from __future__ import annotations

import contextlib
import signal

from phone.adb_fixture import connect
from phone.adb_server import AdbServer
from phone.fake_phone import FakePhone


def main() -> None:
    server, phone = AdbServer(), FakePhone()
    try:
        connect(server, phone)
        print(f"export ANDROID_ADB_SERVER_PORT={server.port}  # {server.adb}")  # noqa: T201
        print(f"serial {phone.serial}, files in {phone.root}", flush=True)  # noqa: T201
        with contextlib.suppress(KeyboardInterrupt):
            signal.pause()
    finally:
        phone.close()
        server.close()


if __name__ == "__main__":
    main()
