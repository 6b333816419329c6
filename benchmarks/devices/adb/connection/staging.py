"""Carry files to a private folder of a phone, each content once.

Files are named by their SHA-256. A file is pushed under a temporary name, hashed on the phone,
and only then renamed: what has a name there is whole. A kept or interrupted run's files are
hashed again before they are believed.
"""

from __future__ import annotations

import dataclasses
import secrets
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from cnn_export.benchmarks.devices.adb.connection.device_text import clean
from cnn_export.benchmarks.devices.adb.connection.phone import Phone
from cnn_export.errors import DestinationError, DeviceUnfit
from cnn_export.untrusted.artifact_digest import artifact_digest

FOLDER = "/data/local/tmp/cnn-bench"
_HASH_TIMEOUT_S = 120.0

# Prints "HASH  NAME" of each file that is there.
_FIND = r"""
cd "$1" 2>/dev/null || exit 0
shift
for name; do [ -f "$name" ] && sha256sum "$name"; done
exit 0
"""
# Gives each pushed file its name if its content is the right one; says which are not.
_ACCEPT = r"""
cd "$1" || exit 1
suffix=$2
shift 2
while [ $# -gt 1 ]; do
  found=$(sha256sum "$1$suffix")
  if [ "${found%% *}" = "$2" ]; then mv -f "$1$suffix" "$1" || echo "$1"
  else rm -f "$1$suffix"; echo "$1"; fi
  shift 2
done
"""


@dataclasses.dataclass(frozen=True)
class Item:
    """A file to carry over. ``name`` is its place below the folder, without spaces."""

    source: Path
    name: str
    sha256: str

    @property
    def place(self) -> str:
        """Where it lies on the phone."""
        return f"{FOLDER}/{self.name}"


def item_of(source: Path, folder: str = "") -> Item:
    """Return a file to carry over, named by its content; in ``folder`` it keeps its own name.

    Raises:
        InputRefused: the file is not there.
    """
    digest, _ = artifact_digest(source)
    if folder:
        return Item(source, f"{folder}/{source.name}", digest)
    return Item(source, f"{digest}{source.suffix}", digest)


class Stage:
    """The folder on one phone, and what is known to be in it."""

    def __init__(self, phone: Phone) -> None:
        self._phone = phone
        self._there: set[Item] = set()

    def bring(self, items: Sequence[Item]) -> None:
        """Have every item on the phone: one command to look, then only what is missing is pushed.

        What was brought before costs nothing.

        Raises:
            DeviceUnfit: the phone is lost, or its disk is full.
        """
        wanted = [item for item in items if item not in self._there]
        if not wanted:
            return
        missing = [item for item in wanted if item not in self._found(wanted)]
        if missing:
            self._push(missing)
        self._there.update(wanted)

    def forget(self) -> None:
        """Believe nothing of what was brought: the folder was cleared."""
        self._there.clear()

    def _found(self, items: Sequence[Item]) -> set[Item]:
        names = [item.name for item in items]
        said = self._phone.script(_FIND, FOLDER, *names, timeout_s=_HASH_TIMEOUT_S).text
        pairs = {tuple(line.split(maxsplit=1)[::-1]) for line in said.splitlines()}
        return {item for item in items if (item.name, item.sha256) in pairs}

    def _push(self, items: Sequence[Item]) -> None:
        suffix = f".{secrets.token_hex(4)}.part"
        folders = {str(PurePosixPath(item.place).parent) for item in items}
        self._phone.shell(["mkdir", "-p", *sorted(folders)], check=True)
        try:
            for item in items:
                self._phone.push(item.source, item.place + suffix)
        except DestinationError as error:
            # Of a phone it is not the user's input that is wrong, but the device.
            raise DeviceUnfit(str(error)) from error
        values = [word for item in items for word in (item.name, item.sha256)]
        said = self._phone.script(
            _ACCEPT, FOLDER, suffix, *values, timeout_s=_HASH_TIMEOUT_S, check=True
        )
        if damaged := said.text.split():
            raise DeviceUnfit(
                f"phone {self._phone.name} did not keep {clean(damaged[0])} as it was pushed: is"
                " its disk full, or the cable bad?"
            )
