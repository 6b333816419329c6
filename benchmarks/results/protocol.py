"""What a worker says on its standard output: one JSON object a line, told apart by ``cnn_bench``.

A good session is a ``hello`` per artifact (one, or two interleaved), then the measurements,
then one ``end`` with their count; or a ``failure`` at any point. Measurements are of one kind: a
``sample`` per inference, a ``pair`` per turn of two artifacts, or one ``memory``. A runner
that only sees its machine from inside (a phone's) may send a ``state`` right before the
measurements and one right after them. A line without the key ``cnn_bench`` is somebody else's
(runtimes log where they like) and is skipped; a line with the key that does not parse is damage.

Python's and Java's idea of this are held together by ``tests/protocol/lines.jsonl``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from typing import IO, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

PROTOCOL_VERSION = 3
MAX_LINE_BYTES = 4096
"""Longer lines are never a worker's."""

_KEY = b'"cnn_bench"'


class _Message(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    def to_line(self) -> str:
        """Return the message as one line, with its newline."""
        return self.model_dump_json() + "\n"


class Hello(_Message):
    """The worker has loaded an artifact and checked its outputs, and starts to measure.

    ``load_ns`` is from the file to inputs in place, with the runtime already imported and the
    file in the page cache; ``first_ns`` is the first inference.
    """

    cnn_bench: Literal["hello"] = "hello"
    protocol: int = PROTOCOL_VERSION
    runtime: str
    version: str
    threads: int = Field(ge=1)
    load_ns: int = Field(ge=0)
    first_ns: int = Field(ge=0)


class State(_Message):
    """The phone around the measurements, as the process itself sees it; ``None`` is unknown.

    ``launch`` is how it was started: a shell's process and a foreground activity are scheduled
    differently. ``thermal_status`` and ``thermal_headroom`` are those of Android's
    ``PowerManager``; ``cpus_allowed`` is ``Cpus_allowed_list`` of ``/proc/self/status``.
    """

    cnn_bench: Literal["state"] = "state"
    launch: Literal["app_process", "activity"]
    thermal_status: int | None = Field(default=None, ge=0, le=6)
    thermal_headroom: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    cpus_allowed: str | None = Field(default=None, pattern=r"^[0-9]{1,4}([,-][0-9]{1,4}){0,99}$")
    available_memory_bytes: int | None = Field(default=None, ge=0)


class Sample(_Message):
    """One inference, in nanoseconds of a monotonic clock."""

    cnn_bench: Literal["sample"] = "sample"
    ns: int = Field(ge=0)


class PairSample(_Message):
    """One inference of each of two artifacts in one process, in nanoseconds."""

    cnn_bench: Literal["pair"] = "pair"
    a_ns: int = Field(ge=0)
    b_ns: int = Field(ge=0)


class MemoryUse(_Message):
    """What loading and running the artifact took of memory; nothing was timed."""

    cnn_bench: Literal["memory"] = "memory"
    peak_rss_bytes: int = Field(ge=0)
    peak_pss_bytes: int | None = Field(default=None, ge=0)
    baseline_rss_bytes: int = Field(ge=0)


class End(_Message):
    """The worker is done and has written this many measurements.

    ``warm_up`` inferences came before them; ``settled`` says whether times had become stable.
    """

    cnn_bench: Literal["end"] = "end"
    count: int = Field(ge=0)
    warm_up: int = Field(default=0, ge=0)
    settled: bool = True


class Failure(_Message):
    """The worker gives up: the message for the user, and the exit code it stands for."""

    cnn_bench: Literal["failure"] = "failure"
    exit_code: int
    message: str = Field(max_length=1000)


Message = Hello | State | Sample | PairSample | MemoryUse | End | Failure

_PARSER: TypeAdapter[Message] = TypeAdapter(Annotated[Message, Field(discriminator="cnn_bench")])


@dataclasses.dataclass(frozen=True)
class Damaged:
    """A line that carries the protocol's key and is no message."""

    reason: str


def messages(lines: Iterable[bytes]) -> Iterator[Message | Damaged]:
    """Yield the messages and the damaged lines among ``lines``; other lines are skipped."""
    for line in lines:
        if _KEY not in line:
            continue
        if len(line) > MAX_LINE_BYTES:
            yield Damaged(f"longer than {MAX_LINE_BYTES} bytes")
            continue
        try:
            yield _PARSER.validate_json(line)
        except ValidationError as error:
            yield Damaged(error.errors()[0]["msg"])


def bounded_lines(stream: IO[bytes]) -> Iterator[bytes]:
    """Yield lines, at most ``MAX_LINE_BYTES + 1`` bytes of each; the rest is read and dropped."""
    while line := stream.readline(MAX_LINE_BYTES + 1):
        last = line
        while len(last) > MAX_LINE_BYTES and not last.endswith(b"\n"):
            last = stream.readline(MAX_LINE_BYTES + 1)
        yield line
