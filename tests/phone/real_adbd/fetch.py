"""Get Debian's ``adbd``: the installed one, or trixie's package unpacked into the cache.

Packages come through the ordinary apt client with lists of its own, so nothing of this system
changes; apt checks their signatures. The cache is ``~/.cache/cnn-export/adbd``, or below
``CNN_EXPORT_CACHE``.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

RELEASE = "trixie"
_KEYS = "/usr/share/keyrings/debian-archive-keyring.gpg"
PROGRAM = "usr/lib/android-sdk/platform-tools/adbd"
LIBRARIES = "usr/lib/x86_64-linux-gnu"
_TIMEOUT_S = 180


class NotObtainable(Exception):
    """There is no adbd, and why."""


def adbd_command() -> list[str]:
    """Return the words that start adbd. Raises :class:`NotObtainable`."""
    installed = shutil.which("adbd", path="/usr/sbin:/usr/bin") or shutil.which("adbd")
    if installed is not None:
        return [installed]
    root = cache_folder()
    if not (root / PROGRAM).exists():
        _fetch(root)
    loader = str(root / LIBRARIES / "ld-linux-x86-64.so.2")
    libraries = f"{root / LIBRARIES}:{root / LIBRARIES / 'android'}"
    return [loader, "--library-path", libraries, str(root / PROGRAM)]


def cache_folder() -> Path:
    chosen = os.environ.get("CNN_EXPORT_CACHE")
    return (Path(chosen) if chosen else Path.home() / ".cache/cnn-export") / "adbd"


def _fetch(root: Path) -> None:
    if shutil.which("apt-get") is None or os.uname().machine != "x86_64":
        raise NotObtainable("adbd is not installed, and this is no Debian on x86-64 to fetch it")
    root.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=root.parent) as folder:
        unpacked = Path(folder) / "root"
        for package in _downloaded(Path(folder)):
            _run("dpkg-deb", "-x", str(package), str(unpacked))
        if not root.exists():
            unpacked.rename(root)


def _source() -> str:
    """Return trixie as an apt source, from wherever this system has its own Debian."""
    listed = _run(
        "apt-get", "indextargets", "--format", "$(REPO_URI) $(CODENAME)", "Created-By: Packages"
    )
    places = [line.split(" ")[0] for line in listed.splitlines()]
    own = [place for place in places if place.endswith("/debian/")]
    if not own:
        raise NotObtainable(
            "adbd is not installed, and apt knows no Debian archive to fetch it from"
        )
    return f"deb [signed-by={_KEYS}] {own[0]} {RELEASE} main\n"


def _downloaded(folder: Path) -> list[Path]:
    (folder / "sources.list").write_text(_source())
    (folder / "status").touch()
    for needed in ("state/lists/partial", "cache/archives/partial", "packages"):
        (folder / needed).mkdir(parents=True)
    options = [
        *("-o", f"Dir::Etc::sourcelist={folder}/sources.list", "-o", "Dir::Etc::sourceparts=-"),
        *("-o", f"Dir::State={folder}/state", "-o", f"Dir::State::status={folder}/status"),
        *("-o", f"Dir::Cache={folder}/cache", "-o", "Acquire::Retries=0"),
        *("-o", "Acquire::http::Timeout=20", "-o", "APT::Sandbox::User=root"),
        *("-o", "APT::Update::Error-Mode=any"),
    ]
    _run("apt-get", *options, "-qq", "update")
    only = ("recommends", "suggests", "conflicts", "breaks", "replaces", "enhances")
    listing = _run(
        "apt-cache", *options, "depends", "--recurse", *(f"--no-{each}" for each in only), "adbd"
    )
    names = {line for line in listing.splitlines() if line[:1].isalnum()}
    _run("apt-get", *options, "-qq", "download", *sorted(names), folder=folder / "packages")
    return sorted((folder / "packages").glob("*.deb"))


def _run(*words: str, folder: Path | None = None) -> str:
    try:
        done = subprocess.run(
            words, cwd=folder, capture_output=True, text=True, timeout=_TIMEOUT_S, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        said = getattr(error, "stderr", "") or str(error)
        raise NotObtainable(f"adbd cannot be fetched: {str(said).strip()[-300:]}") from error
    return done.stdout
