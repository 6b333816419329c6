"""A phone to test with: real files and processes of this machine behind the adb protocol."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from phone import phone_files, reports, shell_service
from phone.connection import FEATURES
from phone.daemon import Daemon
from phone.faults import Faults, RunnerFaults
from phone.paths import Paths
from phone.phone_spec import PhoneSpec
from phone.stream import Stream
from phone.sync_service import Sync

PRIVATE = Path(__file__).parent / "private"
_PLENTY_BYTES = 50 << 30
_NO_SPACE = 28


class FakePhone:
    """One phone, switched on and plugged in until :meth:`close`.

    ``trust`` is ``trusted``, ``unauthorized`` (the user never confirms the key) or ``silent`` (it
    never answers: adb calls it offline). ``as_emulator`` gives it a serial like ``emulator-5554``.
    Attributes may be changed at any time.
    """

    def __init__(
        self,
        spec: PhoneSpec | None = None,
        trust: str = "trusted",
        *,
        as_emulator: bool = False,
    ) -> None:
        self.spec = spec or PhoneSpec()
        self.trust = trust
        self._as_emulator = as_emulator
        self.root = Path(tempfile.mkdtemp(prefix="phone-", dir="/tmp"))
        self.on_plugged: Callable[[], None] = lambda: None
        """Called whenever the phone can be reached again: the test's server connects to it."""
        self._paths = Paths(self.root)
        phone_files.build(self.root, self.spec)
        for script in PRIVATE.iterdir():
            (self.root / ".phone" / script.name).symlink_to(script)
        self.free_bytes = _PLENTY_BYTES
        self.battery = reports.Battery()
        self.thermal = reports.Thermal()
        self.faults = Faults()
        self.use_stand_in_runner()
        self.daemon = Daemon(self)
        self.daemon.plug()

    # Where things are.
    @property
    def address(self) -> str:
        """What ``adb connect`` takes. An emulator's console would be one port below."""
        port = self.daemon.port
        return f"emu:{port - 1},{port}" if self._as_emulator else f"127.0.0.1:{port}"

    @property
    def serial(self) -> str:
        """What adb calls it once it is connected to :attr:`address`."""
        return f"emulator-{self.daemon.port - 1}" if self._as_emulator else self.address

    def path(self, path: str) -> Path:
        """Return where a path of the phone lies on this machine."""
        return self._paths.here(path)

    def read(self, path: str) -> str:
        return self.path(path).read_text()

    def write(self, path: str, text: str) -> None:
        phone_files.write(self.root, path.lstrip("/"), text)

    def calls(self, program: str | None = None) -> list[list[str]]:
        """Return the words of each call of a stand-in program so far, in order."""
        log = self.root / ".phone/calls"
        lines = log.read_text().split("\0")[:-1] if log.exists() else []
        return [words for line in lines if (words := shlex.split(line))[0] == (program or words[0])]

    # How it stands.
    @property
    def battery(self) -> reports.Battery:
        return self._battery

    @battery.setter
    def battery(self, battery: reports.Battery) -> None:
        self._battery = battery
        self.write("/.phone/dumpsys/battery", battery.report())

    @property
    def thermal(self) -> reports.Thermal:
        return self._thermal

    @thermal.setter
    def thermal(self, thermal: reports.Thermal) -> None:
        self._thermal = thermal
        self.write("/.phone/dumpsys/thermalservice", thermal.report())

    @property
    def free_bytes(self) -> int:
        return int(self.read("/.phone/free_bytes"))

    @free_bytes.setter
    def free_bytes(self, count: int) -> None:
        self.write("/.phone/free_bytes", f"{count}\n")

    @property
    def settings(self) -> dict[str, str]:
        """Return all settings as ``namespace/key``."""
        folder = self.root / ".phone/settings"
        files = [path for path in folder.glob("*/*") if path.is_file()]
        return {str(path.relative_to(folder)): path.read_text().strip() for path in files}

    @property
    def fixed_performance(self) -> bool:
        return self.read("/.phone/fixed_performance").strip() == "true"

    @property
    def awake(self) -> bool:
        return self.read("/.phone/screen").strip() == "Awake"

    def set_frequency(self, khz: int, cpus: tuple[int, ...]) -> None:
        for cpu in cpus:
            self.write(f"/sys/devices/system/cpu/cpu{cpu}/cpufreq/scaling_cur_freq", f"{khz}\n")

    def give_simpleperf(self, listing: str, counters: dict[str, tuple[int, int]]) -> None:
        """Install ``simpleperf``; ``counters`` has each event's counts of loading and inferring."""
        program = self.root / "system/bin/simpleperf"
        program.unlink(missing_ok=True)
        program.symlink_to(PRIVATE / "simpleperf")
        self.write("/.phone/counter_list", listing)
        lines = [f"{event} {loading} {each}\n" for event, (loading, each) in counters.items()]
        self.write("/.phone/counters", "".join(lines))

    # What runs in place of the app.
    def use_stand_in_runner(self) -> None:
        """Let a small Python program speak for the app: fast, and it computes nothing."""
        script = Path(__file__).with_name("stand_in_runner.py")
        self._install_runner([sys.executable, "-I", "-S", str(script)])

    def use_jvm_runner(self, classpath: str, natives: Path) -> None:
        """Run the app's own classes on this machine's JVM."""
        java = shutil.which("java")
        if java is None:
            raise FileNotFoundError("there is no java on PATH")
        self._install_runner([java, f"-Djava.library.path={natives}", "-cp", classpath])

    def _install_runner(self, command: list[str]) -> None:
        self._runner = command
        self._write_runner()

    def _write_runner(self) -> None:
        words = list(self._runner)
        if self.faults.runner != RunnerFaults():
            script = Path(__file__).with_name("faulty_runner.py")
            words = [sys.executable, "-I", "-S", str(script), self.faults.runner.to_json(), *words]
        runner = self.root / ".phone/runner"
        runner.with_suffix(".new").write_text(
            f'#!/bin/sh\nunset LD_LIBRARY_PATH\nexec {shlex.join(words)} "$@"\n'
        )
        runner.with_suffix(".new").chmod(0o755)
        runner.with_suffix(".new").rename(runner)

    @property
    def faults(self) -> Faults:
        return self._faults

    @faults.setter
    def faults(self, faults: Faults) -> None:
        self._faults = faults
        self._lines = 0
        if hasattr(self, "_runner"):
            self._write_runner()

    # Cable and power.
    def unplug(self) -> None:
        self.daemon.unplug()

    def plug(self) -> None:
        self.daemon.plug()
        self.on_plugged()

    def reboot(self, away_s: float = 1.0) -> None:
        """Go away at once with all processes, and come back as a phone that just started.

        They stop before the cable shows it: on a phone that goes down none has time to tidy up.
        """
        self._signal_processes(signal.SIGSTOP)
        self.unplug()
        self.kill_processes()
        phone_files.boot(self.root)
        timer = threading.Timer(away_s, self._come_back)
        timer.daemon = True
        timer.start()

    def _come_back(self) -> None:
        if self.root.exists():
            self.plug()

    def processes(self) -> list[int]:
        """Return the processes of this machine that stand for the phone's."""
        mark = f"PHONE_ROOT={self.root}".encode()
        found: list[int] = []
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if mark in (folder / "environ").read_bytes().split(b"\0"):
                    found.append(int(folder.name))
        return found

    def kill_processes(self) -> None:
        """Kill them all, as a reboot does; also those that detached themselves."""
        deadline = time.monotonic() + 10
        while (left := self.processes()) and time.monotonic() < deadline:
            self._signal_processes(signal.SIGKILL, left)
            time.sleep(0.01)

    def _signal_processes(self, number: signal.Signals, processes: list[int] | None = None) -> None:
        for process in self.processes() if processes is None else processes:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, number)

    def close(self) -> None:
        self.unplug()
        self.kill_processes()
        shutil.rmtree(self.root, ignore_errors=True)

    # What the daemon asks.
    def banner(self) -> bytes:
        names = ("ro.product.name", "ro.product.model", "ro.product.device")
        properties = self.spec.properties()
        facts = "".join(f"{name}={properties[name]};" for name in names)
        return f"device::{facts}features={','.join(FEATURES)}".encode()

    def serve(self, name: str, stream: Stream) -> bool:
        service, _, argument = name.partition(":")
        kind, *options = service.split(",")
        if kind in ("shell", "exec"):
            run = shell_service.run_v2 if "v2" in options else shell_service.run_raw
            work, values = self._command, (run, argument or "sh", stream)
        elif kind == "sync":
            work, values = Sync(stream, self._paths, self._spend).serve, ()
        elif kind == "reboot":
            work, values = self.reboot, ()
        else:
            return False
        stream.accept()
        threading.Thread(target=work, args=values, daemon=True).start()
        return True

    def _command(self, run: Callable[..., None], command: str, stream: Stream) -> None:
        if self.faults.shell_delay_s:
            time.sleep(self.faults.shell_delay_s)
        tap = self._count_lines if "app_process" in command else lambda _: None
        run(command, stream, self._paths, self._environment(), tap)

    def _environment(self) -> dict[str, str]:
        return {
            "PATH": str(self.root / "system/bin"),
            "PHONE_ROOT": str(self.root),
            "HOME": "/",
            "TMPDIR": str(self.root / "data/local/tmp"),
            "ANDROID_DATA": str(self.root / "data"),
            "ANDROID_ROOT": str(self.root / "system"),
            "ORT_DISABLE_TELEMETRY": "1",  # of the desktop library that stands for the app's
        }

    def _spend(self, count: int) -> None:
        left = self.free_bytes - count
        if left < 0:
            raise OSError(_NO_SPACE, os.strerror(_NO_SPACE))
        self.free_bytes = left

    def _count_lines(self, data: bytes) -> None:
        before, self._lines = self._lines, self._lines + data.count(b"\n")
        faults = self.faults
        if _passed(before, self._lines, faults.unplug_after_lines):
            self.unplug()
        if _passed(before, self._lines, faults.reboot_after_lines):
            self.reboot(faults.reboot_s)


def _passed(before: int, now: int, mark: int | None) -> bool:
    return mark is not None and before < mark <= now
