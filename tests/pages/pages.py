"""The project's pages: what they quote, and the commands that they show."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
NEEDS_A_PHONE = "# needs a phone"
TAKES_MINUTES = "# takes minutes"
_PROGRAMS = ("cnn-bench", "cnn-export", "python -m", "make", "pip install")
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_INDENTED = re.compile(r"(?<=\n\n)((?: {4}.*\n)+)")


@cache
def tracked() -> frozenset[str]:
    """Return the repository's files, and those that are about to be in it."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return frozenset(name for name in listed.stdout.splitlines() if (ROOT / name).exists())


@cache
def folders() -> frozenset[str]:
    """Return the folders of those files."""
    return frozenset(str(parent) for name in tracked() for parent in Path(name).parents)


def pages() -> list[str]:
    """Return every page but the changelog, which tells of what was."""
    return sorted(name for name in tracked() if name.endswith(".md") and name != "CHANGELOG.md")


@dataclass(frozen=True)
class Command:
    """A command that a page shows.

    Attributes:
        text: As shown, without the prompt and without the remark.
        remark: What stands behind ``#``, with it.
        output: The lines below it that are no command, or nothing.
    """

    text: str
    remark: str
    output: str


def commands(page: str) -> list[Command]:
    """Return the commands of a page in their order; those of CI workflows have a test apart."""
    text = (ROOT / page).read_text(encoding="utf-8")
    blocks = [body for language, body in _FENCE.findall(text) if language in ("", "console")]
    rest = _FENCE.sub("", text)
    blocks += [re.sub(r"^ {4}", "", block, flags=re.MULTILINE) for block in _INDENTED.findall(rest)]
    return [command for block in blocks for command in _in_block(block)]


def _in_block(block: str) -> list[Command]:
    """A block holds commands if its first line is one; with a prompt, other lines are output."""
    if not _shown(block):
        return []
    prompt = "$ " if block.startswith("$ ") else ""
    found: list[Command] = []
    for line in block.replace("\\\n", " ").splitlines():
        if line.startswith(prompt) and (shown := _shown(line)):
            text, _, remark = shown.partition(" #")
            found.append(Command(text.strip(), f"#{remark}" if remark else "", ""))
        else:
            last = found.pop()
            found.append(Command(last.text, last.remark, f"{last.output}{line}\n"))
    return found


def _shown(line: str) -> str:
    """Return the command on a line, or nothing."""
    line = line.removeprefix("$ ")
    return line if line.startswith(_PROGRAMS) else ""
