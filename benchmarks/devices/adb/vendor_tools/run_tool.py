"""Bring a tool to the phone, run it once on an artifact, and read its answer."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from cnn_export.benchmarks.devices.adb.clusters import mask
from cnn_export.benchmarks.devices.adb.connection.device_text import clean
from cnn_export.benchmarks.devices.adb.connection.phone import Completed, Phone, script_words
from cnn_export.benchmarks.devices.adb.connection.staging import FOLDER, Item, Stage, item_of
from cnn_export.benchmarks.devices.adb.vendor_tools.tool_contract import Answer, ToolJob
from cnn_export.benchmarks.devices.adb.vendor_tools.tool_figures import ToolFigures
from cnn_export.benchmarks.devices.adb.vendor_tools.tool_registry import ToolBinary
from cnn_export.benchmarks.results.session import IncompleteRun

_LAST_WORDS = 300

# $1 the tool's folder, $2 mask of CPUs or "", then the program and its arguments. The program
# itself replaces the shell, so that the end of the connection ends it.
_RUN = r"""
cd "$1" || exit
export LD_LIBRARY_PATH="$1"
cpus=$2
shift 2
chmod 755 "$1" || exit
exec ${cpus:+taskset "$cpus"} "$@"
"""


def place(binary: ToolBinary) -> list[Item]:
    """Return what to bring of a tool: itself first, then the libraries beside it.

    Raises:
        InputRefused: a file cannot be read.
    """
    folder = f"tool-{item_of(binary.path).sha256[:16]}"
    return [item_of(path, folder) for path in (binary.path, *binary.libraries)]


def run_tool(
    phone: Phone,
    stage: Stage,
    binary: ToolBinary,
    artifact: Item,
    job: ToolJob,
    cpus: Sequence[int],
    limit_s: float,
) -> ToolFigures:
    """Run the tool once and return its figures.

    Raises:
        IncompleteRun: it failed, or says nothing to believe.
        UsageError: it cannot do what the job asks.
        DeviceUnfit: the phone is lost, or the tool takes longer than ``limit_s``.
    """
    words = binary.tool.arguments(job)
    items = place(binary)
    stage.bring([artifact, *items])
    folder = items[0].place.rpartition("/")[0]
    command = script_words(_RUN, folder, mask(cpus) if cpus else "", items[0].place, *words)
    try:
        done = phone.shell(command, timeout_s=limit_s)
        result = phone.read_text(job.result_file)
    finally:
        phone.shell(["rm", "-f", job.result_file])
    if done.exit_code != 0:
        raise IncompleteRun(
            f"{binary.tool.name} ended with exit code {done.exit_code}{_last_words(done)}"
        )
    text = (done.stdout + b"\n" + done.stderr).decode(errors="replace")
    try:
        return binary.tool.parse(Answer(text, result))
    except IncompleteRun as error:
        raise IncompleteRun(f"{error}{_last_words(done)}") from None


def result_place() -> str:
    """Return a new name on the phone for a tool's result file."""
    return f"{FOLDER}/result-{secrets.token_hex(8)}"


def _last_words(done: Completed) -> str:
    said = clean((done.stderr.strip() or done.stdout.strip())[-_LAST_WORDS:])
    return f": …{said}" if said else ""
