"""A root folder in which a fake phone's files stand where a phone has them.

Mounted in a mount namespace of its own: this machine's folders, with the phone's ``/data``,
``/sdcard``, ``/sys`` and ``/system`` in place of or beside them. adbd runs in it, so that not even
paths are rewritten, and every command is exactly the one that the host sent.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from phone.fake_phone import FakePhone

OWN = ("data", "sdcard", "sys", "system")


def mount_root(phone: FakePhone, folder: Path) -> Path:
    """Mount the root on ``folder``; it goes with the namespace."""
    _run("mount", "-t", "tmpfs", "phone", str(folder))
    for source in Path("/").iterdir():
        if source.is_symlink():
            (folder / source.name).symlink_to(source.readlink())
        elif source.is_dir() and source.name not in OWN:
            (folder / source.name).mkdir()
            _run("mount", "--rbind", str(source), str(folder / source.name))
    for name in OWN:
        (folder / name).mkdir()
        _run("mount", "--bind", str(phone.root / name), str(folder / name))
    return folder


def _run(*words: str) -> None:
    subprocess.run(words, check=True, capture_output=True)
