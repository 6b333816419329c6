"""Remove what a run brings to a phone, however the run ends.

The phone does it by itself: this script waits there for the end of its input, which comes when
the host says so, when it is killed, and when the cable is pulled.
"""

from __future__ import annotations

import contextlib
import secrets
import threading
from collections.abc import Generator

from cnn_export.benchmarks.devices.adb.connection.phone import Phone, Running, script_words
from cnn_export.benchmarks.devices.adb.connection.staging import FOLDER
from cnn_export.errors import DeviceUnfit

BEGIN_S = 30.0
END_S = 120.0
"""What a phone may take to make the folder, and to remove it with everything in it."""

# $1 folder, $2 token of this run, $3 "keep" to leave the files, $4 package to uninstall or "".
# What an earlier run began to push or to remove is of no use to anybody, but the package that it
# installed is still to go: a reboot leaves only its mark. A later run writes its own token: then
# the folder is that run's to clear.
_GUARD = r"""
trap '' HUP INT TERM PIPE
mkdir -p "$1" && chmod 755 "$1" && echo "$2" >"$1/holder" || exit 1
rm -rf "$1"/*.part "$1"/*/*.part "$1".[0-9a-f][0-9a-f]*
[ -z "$4" ] || echo "$4" >"$1/uninstall" || exit 1
echo ready
while read -r line; do :; done
[ "$(cat "$1/holder" 2>/dev/null)" = "$2" ] || exit 0
rm -f "$1/holder"
package=
{ read -r package <"$1/uninstall"; } 2>/dev/null
[ -z "$package" ] || {
  pm uninstall "$package" && rm -rf "/sdcard/Android/media/$package"
} >/dev/null 2>&1
rm -f "$1/uninstall"
# Out of the way at once: the next run may be making its own.
[ "$3" = keep ] || { mv "$1" "$1.$2" && rm -rf "$1.$2"; }
echo cleared
"""


class CleanupGuard:
    """Keeps a folder on a phone for as long as the connection stands.

    ``keep`` leaves the files there afterwards.
    """

    def __init__(
        self, phone: Phone, *, keep: bool, begin_s: float = BEGIN_S, end_s: float = END_S
    ) -> None:
        self._phone, self._keep = phone, keep
        self._begin_s, self._end_s = begin_s, end_s
        self._running: Running | None = None

    def holds(self) -> bool:
        """Whether the folder is still kept; asks nothing of the phone."""
        return self._running is not None and self._running.silent()

    def begin(self, uninstall: str = "") -> None:
        """Make the folder; with it a package will go, if one is named.

        Raises:
            DeviceUnfit: the phone is not there, or does not let a folder be made.
        """
        self._drop()
        keep = "keep" if self._keep else ""
        words = script_words(_GUARD, FOLDER, secrets.token_hex(8), keep, uninstall)
        running = self._running = self._phone.start(words)
        with _bounded(running, self._begin_s):
            said = next(running.lines(), b"").strip()
        if said != b"ready":
            reason = running.stderr_tail() or "it gives no reason"
            self._drop()
            raise DeviceUnfit(f"phone {self._phone.name} lets no folder {FOLDER} be made: {reason}")

    def end(self) -> None:
        """Have everything removed, and wait for it. A phone that is gone does it alone."""
        if self._running is not None:
            with contextlib.suppress(DeviceUnfit), _bounded(self._running, self._end_s):
                self._running.close_stdin()
                self._running.wait()
        self._drop()

    def _drop(self) -> None:
        if self._running is not None:
            self._running.close()
        self._running = None


@contextlib.contextmanager
def _bounded(running: Running, seconds: float) -> Generator[None]:
    """Close the stream after ``seconds``: whoever reads it then sees its end."""
    watchdog = threading.Timer(seconds, running.close)
    watchdog.daemon = True
    watchdog.start()
    try:
        yield
    finally:
        watchdog.cancel()
