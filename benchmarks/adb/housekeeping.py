"""Remove what a run brings to a phone, however the run ends.

The phone does it by itself: this script waits there for the end of its input, which comes when
the host says so, when it is killed, and when the cable is pulled.
"""

from __future__ import annotations

import contextlib
import secrets

from cnn_export.benchmarks.adb.phone import Phone, Running, script_words
from cnn_export.benchmarks.adb.staging import FOLDER
from cnn_export.errors import DeviceUnfit

# $1 folder, $2 token of this run, $3 "keep" to leave the files, $4 package to uninstall or "".
# What an earlier run began to push is of no use to anybody. A later run writes its own token: then
# the folder is that run's to clear.
_KEEPER = r"""
trap '' HUP INT TERM PIPE
mkdir -p "$1" && chmod 755 "$1" && echo "$2" >"$1/holder" || exit 1
rm -f "$1"/*.part "$1"/*/*.part
echo ready
while read -r line; do :; done
[ "$(cat "$1/holder" 2>/dev/null)" = "$2" ] || exit 0
rm -f "$1/holder"
# Out of the way at once: the next run may be making its own.
[ "$3" = keep ] || { mv "$1" "$1.$2" && rm -rf "$1.$2"; }
[ -z "$4" ] || pm uninstall "$4" >/dev/null 2>&1
echo cleared
"""


class Keeper:
    """Keeps a folder on a phone for as long as the connection stands.

    ``keep`` leaves the files there afterwards.
    """

    def __init__(self, phone: Phone, *, keep: bool) -> None:
        self._phone, self._keep = phone, keep
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
        words = script_words(_KEEPER, FOLDER, secrets.token_hex(8), keep, uninstall)
        running = self._running = self._phone.start(words)
        if next(running.lines(), b"").strip() != b"ready":
            reason = running.stderr_tail() or "it gives no reason"
            self._drop()
            raise DeviceUnfit(f"phone {self._phone.name} lets no folder {FOLDER} be made: {reason}")

    def end(self) -> None:
        """Have everything removed, and wait for it. A phone that is gone does it alone."""
        if self._running is not None:
            with contextlib.suppress(DeviceUnfit):
                self._running.close_stdin()
                self._running.wait()
        self._drop()

    def _drop(self) -> None:
        if self._running is not None:
            self._running.close()
        self._running = None
