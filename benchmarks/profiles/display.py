"""A profile as a table for a person."""

from __future__ import annotations

from rich.table import Table

from cnn_export.benchmarks.profiles.document import OpTime, Profile
from cnn_export.benchmarks.profiles.wording import whole_and_sum
from cnn_export.benchmarks.tables.quantities import significant
from cnn_export.command_line.console import result_console
from cnn_export.command_line.terminal import printable

_FILE_WIDTH = 200
_GIGA = 1e9
_NS_PER_MS = 1e6


def show(profile: Profile, top: int | None) -> None:
    """Print operators in the runtime's order, or the ``top`` slowest, then sum and whole."""
    console = result_console(width=_FILE_WIDTH, soft_wrap=True)
    console.print(_table(profile, top))
    for line in _footnotes(profile, top):
        console.print(printable(line), markup=False, highlight=False)


def _table(profile: Profile, top: int | None) -> Table:
    title = (
        f"{profile.artifact}, {profile.runtime} {profile.runtime_version}, "
        f"{profile.threads} thread{'' if profile.threads == 1 else 's'}"
    )
    table = Table(title=printable(title), title_justify="left", box=None, pad_edge=False)
    for heading in ("operator", "kind"):
        table.add_column(heading, overflow="fold")
    for heading in ("median ms", "share", "macs", "mac_bytes", "GMAC/s", "GB/s", *_roof(profile)):
        table.add_column(heading, justify="right")
    for op in _chosen(profile, top):
        table.add_row(*_cells(op, profile))
    return table


def _roof(profile: Profile) -> list[str]:
    return [] if profile.roofline is None else ["of roof"]


def _chosen(profile: Profile, top: int | None) -> list[OpTime]:
    if top is None:
        return profile.ops
    return sorted(profile.ops, key=lambda op: -op.median_ns)[:top]


def _cells(op: OpTime, profile: Profile) -> list[str]:
    cells = [
        printable(op.name),
        printable(op.kind),
        significant(op.median_ns / _NS_PER_MS),
        f"{100 * op.share:.1f} %",
        "-" if op.macs is None else str(op.macs),
        "-" if op.mac_bytes is None else str(op.mac_bytes),
        _giga(op.mac_per_s),
        _giga(op.bytes_per_s),
    ]
    if profile.roofline is not None:
        share = profile.roofline.share(op)
        cells.append("-" if share is None else f"{100 * share:.0f} %")
    return cells


def _giga(rate: float | None) -> str:
    return "-" if rate is None else significant(rate / _GIGA)


def _footnotes(profile: Profile, top: int | None) -> list[str]:
    lines = [whole_and_sum(profile)]
    if top is not None and len(profile.ops) > top:
        lines.append(f"The {top} slowest of {len(profile.ops)} operators.")
    if profile.untimed:
        lines.append(f"In the file without a time of their own: {', '.join(profile.untimed)}.")
    if profile.roofline is not None:
        roof = profile.roofline
        lines.append(
            f"Roof: {_giga(roof.mac_per_s)} GMAC/s, {_giga(roof.bytes_per_s)} GB/s ({roof.kernel})."
        )
    return [*lines, *profile.notes]
