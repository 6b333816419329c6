"""Brings parts into the cache: once, whole, and only with the pinned content.

A part lies under its SHA-256, so a changed pin is another part and a finished one is never asked
for again. Interrupted downloads are taken up where the client can (Maven keeps what it has).
"""

from __future__ import annotations

import fcntl
import fnmatch
import hashlib
import shutil
import tarfile
import tempfile
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from xml.sax.saxutils import escape

from build_tools.errors import BuildError
from build_tools.parts.pins import Part
from build_tools.tools import call, require

_COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy"
_MEMBER_BYTES_MAX = 1 << 30


class Cache:
    """The fetched parts."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def file(self, part: Part) -> Path:
        """Return where a part is: a file, for npm a folder with the members taken."""
        return self.folder / "parts" / part.sha256 / part.file_name

    def fetch(self, parts: Sequence[Part]) -> None:
        """Fetch what is not there yet.

        Raises:
            BuildError: a client is missing or fails, or the content is not the pinned one.
        """
        if not self._absent(parts):
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        with locked(self.folder / "lock"):
            absent = self._absent(parts)
            self._fetch_maven([part for part in absent if part.source == "maven"])
            for part in absent:
                if part.source == "npm":
                    self._fetch_npm(part)

    def _absent(self, parts: Sequence[Part]) -> list[Part]:
        return [part for part in parts if not self.file(part).exists()]

    def _fetch_maven(self, parts: Sequence[Part]) -> None:
        if not parts:
            return
        require(["mvn"])
        with tempfile.TemporaryDirectory(dir=self.folder) as name:
            staging = Path(name)
            (staging / "pom.xml").write_text(_pom(parts, staging))
            call(["mvn", "-q", "-B", "-f", staging / "pom.xml", _COPY])
            for part in parts:
                arrived = staging / part.file_name
                _require_content(part, arrived)
                self._keep(part, arrived)

    def _fetch_npm(self, part: Part) -> None:
        require(["npm"])
        with tempfile.TemporaryDirectory(dir=self.folder) as name:
            staging = Path(name)
            call(["npm", "pack", "--silent", part.coordinate], folder=staging)
            (archive,) = staging.glob("*.tgz")
            _require_content(part, archive)
            taken = staging / "members"
            _extract(archive, part.members, taken)
            self._keep(part, taken)

    def _keep(self, part: Part, arrived: Path) -> None:
        target = self.file(part)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(arrived, target)


def _pom(parts: Sequence[Part], folder: Path) -> str:
    """Return a project that copies all parts in one start of Maven."""
    items = "".join(_item(part) for part in parts)
    return f"""<project><modelVersion>4.0.0</modelVersion>
<groupId>parts</groupId><artifactId>parts</artifactId><version>1</version><packaging>pom</packaging>
<build><plugins><plugin><groupId>org.apache.maven.plugins</groupId>
<artifactId>maven-dependency-plugin</artifactId><configuration>
<outputDirectory>{escape(str(folder))}</outputDirectory>
<artifactItems>{items}</artifactItems></configuration></plugin></plugins></build></project>
"""


def _item(part: Part) -> str:
    names = ("groupId", "artifactId", "version", "type", "classifier")
    pieces = [escape(piece) for piece in part.coordinate.split(":")]
    inside = "".join(f"<{n}>{p}</{n}>" for n, p in zip(names, pieces, strict=False))
    return f"<artifactItem>{inside}<destFileName>{part.file_name}</destFileName></artifactItem>"


def _require_content(part: Part, file: Path) -> None:
    if not file.is_file():
        raise BuildError(f"{part.coordinate} did not arrive; run make again")
    with file.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    if digest != part.sha256:
        raise BuildError(
            f"{part.coordinate} has SHA-256 {digest}, pinned is {part.sha256}: it is not used;"
            " clear the client's cache and run make again"
        )


def _extract(archive: Path, globs: Sequence[str], target: Path) -> None:
    with tarfile.open(archive) as tar:
        for member in tar:
            if not member.isfile() or not any(fnmatch.fnmatch(member.name, g) for g in globs):
                continue
            if member.size > _MEMBER_BYTES_MAX or ".." in Path(member.name).parts:
                raise BuildError(f"{archive.name}: refused member {member.name}")
            file = target / member.name.removeprefix("/")
            file.parent.mkdir(parents=True, exist_ok=True)
            source = tar.extractfile(member)
            if source is None:
                raise BuildError(f"{archive.name}: cannot read member {member.name}")
            with source, file.open("wb") as sink:
                shutil.copyfileobj(source, sink)
    if not target.exists():
        raise BuildError(f"{archive.name} holds nothing like {', '.join(globs)}")


@contextmanager
def locked(file: Path) -> Generator[None]:
    """Wait for everybody else who builds, then keep them waiting."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield
