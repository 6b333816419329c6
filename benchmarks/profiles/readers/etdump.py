"""Read an ETDump: ExecuTorch's record of one event per operator and delegate operator.

The wheel's runtime is built without the event tracer and writes none; a dump comes from a build
with ``EXECUTORCH_ENABLE_EVENT_TRACER``. Times are taken as nanoseconds, as ExecuTorch's own
Inspector does unless told otherwise. Its Python reader imports torch; this one reads the
FlatBuffers data by the schema files that the wheel carries.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from pathlib import Path

from cnn_export.artifact_files.damage import refusing_damage
from cnn_export.artifact_files.file_content import mapped
from cnn_export.artifact_files.flatbuffers.schema import Schema, parse_schema
from cnn_export.artifact_files.flatbuffers.table import Table, root_table
from cnn_export.artifact_files.package_folder import package_folder
from cnn_export.benchmarks.profiles.trace import Trace, transposed
from cnn_export.errors import InputRefused

_WHOLE = "Method::execute"
_DELEGATE_CALL = "DELEGATE_CALL"
_KERNEL_PREFIX = "native_call_"
_NUMBER = re.compile(r" #\d+$")
_BYTES_MAX = 512 * 1024 * 1024
_MAGIC = b"ED00"
_SIZE_PREFIX = 4
"""Bytes before the data that hold its size; the runtime writes them, other writers may not."""
_Row = tuple[str, str, int]


def read_etdump(path: Path) -> Trace:
    """Return the inferences of a dump; the first is left out as warm-up if there are more.

    Raises:
        InputRefused: missing, too large, no ETDump, or without events of an inference.
    """
    try:
        if path.stat().st_size > _BYTES_MAX:
            raise InputRefused(f"{path} is larger than any ETDump; is it the right file?")
        content = mapped(path)
    except OSError as error:
        raise InputRefused(f"cannot read the ETDump {path}: {error.strerror}") from error
    except InputRefused as error:
        raise InputRefused(f"{path} is no ETDump: {error}") from error
    with refusing_damage(f"ETDump {path}"):
        runs = [list(_events(run)) for run in _decoded(path, content)["run_data"]]
        rows = [(_operators(run), _whole_ns(run)) for run in runs]
    inferences = [(operators, whole) for operators, whole in rows if operators]
    if not inferences:
        raise InputRefused(f"{path} holds no event of an inference; record it with the tracer on")
    kept = inferences[1:] or inferences
    try:
        events = transposed([operators for operators, _ in kept])
    except ValueError as error:
        raise InputRefused(f"{path}: {error}; record one method of one model") from error
    wholes = tuple(whole for _, whole in kept if whole is not None)
    note = "Times are the ETDump's, taken as nanoseconds; it holds no run without the tracer."
    return Trace(events, wholes, (), (note,))


@functools.cache
def _schema() -> Schema:
    folder = package_folder("executorch") / "devtools" / "etdump"
    return parse_schema(
        *((folder / f"{name}.fbs").read_text() for name in ("scalar_type", "etdump_schema_flatcc"))
    )


def _decoded(path: Path, content: memoryview) -> Table:
    for start in (_SIZE_PREFIX, 0):
        if bytes(content[start + 4 : start + 8]) == _MAGIC:
            return root_table(_schema(), "ETDump", content[start:])
    raise InputRefused(f"{path} is no ETDump (no 'ED00' at byte 4 or 8)")


def _events(run: Table) -> Iterable[Table]:
    found = (event["profile_event"] for event in run["events"])
    return (event for event in found if event is not None)


def _operators(events: Iterable[Table]) -> list[_Row]:
    """Return delegate operators and kernels; a delegate that reports none counts as one."""
    rows: list[_Row] = []
    inside = 0
    for event in events:
        ns = event["end_time"] - event["start_time"]
        delegated = event["delegate_debug_id_str"] or event["delegate_debug_id_int"]
        name = event["name"] or ""
        if delegated not in (None, "", -1):
            inside += 1
            label = str(delegated)
            rows.append((label, _NUMBER.sub("", label), ns))
        elif name == _DELEGATE_CALL:
            if not inside:
                rows.append((f"delegate {event['instruction_id']}", name, ns))
            inside = 0
        elif name.startswith(_KERNEL_PREFIX):
            kind = name.removeprefix(_KERNEL_PREFIX)
            rows.append((f"{kind} {event['instruction_id']}", kind, ns))
    return rows


def _whole_ns(events: Iterable[Table]) -> int | None:
    times = [e["end_time"] - e["start_time"] for e in events if e["name"] == _WHOLE]
    return times[0] if times else None
