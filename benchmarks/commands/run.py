"""``cnn-bench run``: measure artifacts on a device, and keep every sample."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cnn_export.errors import ExportError, InputRefused, UsageError

if TYPE_CHECKING:
    from cnn_export.benchmarks.devices.adb.app.launch import Launch
    from cnn_export.benchmarks.devices.adb.lifecycle.phone_lifecycle import PhonePolicy
    from cnn_export.benchmarks.devices.adb.vendor_tools.tool_registry import ToolBinary
    from cnn_export.benchmarks.devices.contract import Device
    from cnn_export.benchmarks.results.series import Results
    from cnn_export.benchmarks.run.run_request import DeviceRun, Request

_DEFAULT_OUT = Path("results.jsonl")
_REPEATS, _MIN_TIME = 10, "1s"
_LINES_SHOWN = 3
_PHONE_OPTIONS = (
    *("app", "launch", "keep", "fixed_performance"),
    *("max_temperature", "min_battery", "wait", "reconnect", "runner"),
)


def _numbers(minimum: int) -> Callable[[click.Context, click.Parameter, Any], tuple[int, ...]]:
    """Return a callback that reads ``1,2`` as whole numbers of at least ``minimum``."""

    def read(_: click.Context, parameter: click.Parameter, value: str | None) -> tuple[int, ...]:
        parts = [part.strip() for part in (value or "").split(",") if part.strip()]
        for part in parts:
            # No number is written with this many digits by intent, and int() refuses thousands.
            if not part.isdecimal() or len(part) > 6 or int(part) < minimum:
                raise UsageError(
                    f"--{parameter.name}: {part!r} is no whole number of at least {minimum};"
                    " write 1 or 1,2"
                )
        return tuple(map(int, parts))

    return read


def _cpus(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> tuple[int, ...] | str:
    """Read ``big``, ``little`` or numbers."""
    return value if value in ("big", "little") else _numbers(0)(context, parameter, value)


@click.command("run")
@click.argument("artifacts", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--device",
    "device_names",
    multiple=True,
    default=("host",),
    metavar="NAME",
    help="host, adb, adb:SERIAL, adb:HOST:PORT/SERIAL, all; repeatable.  [default: host]",
)
@click.option(
    "--threads", default="1", show_default=True, callback=_numbers(1), help="Of the runtime: 1,2."
)
@click.option(
    "--repeats",
    type=click.IntRange(min=1, max=10_000),
    help=f"Fresh processes per artifact.  [default: {_REPEATS}; with --compare, the study's]",
)
@click.option(
    "--min-time", help=f"Measuring time per process.  [default: {_MIN_TIME}; --compare: 500ms]"
)
@click.option("--seed", type=click.IntRange(min=0), help="Of the order.  [default: drawn]")
@click.option(
    "--cpus", callback=_cpus, help="Bind workers to these CPUs: 0,1; on phones big or little too."
)
@click.option("--runtime-arg", "runtime_args", multiple=True, metavar="K=V", help="Repeatable.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=_DEFAULT_OUT,
    show_default=True,
    help="Appended to: every sample, one JSON object a line.",
)
@click.option("--resume", is_flag=True, help="Complete the last run of --out.")
@click.option("--strict", is_flag=True, help="End (exit 12) where a device is not fit.")
@click.option("--compare", is_flag=True, help="Interleave each artifact with the first.")
@click.option(
    "--block",
    type=click.IntRange(min=1, max=1000),
    default=1,
    show_default=True,
    help="With --compare: inferences of one artifact before the other's turn.",
)
@click.option(
    "--timeout",
    default="5min",
    show_default=True,
    help="What a worker may take to load, check and report.",
)
@click.option(
    "--app",
    type=click.Path(path_type=Path),
    help="For phones: the APK that measures.  [default: what `make app` builds]",
)
@click.option(
    "--launch",
    type=click.Choice(["app_process", "activity"]),
    default="app_process",
    show_default=True,
    help="On phones: a shell's process with nothing installed, or the app in the foreground.",
)
@click.option("--keep", is_flag=True, help="Leave the files that were pushed on the phone.")
@click.option(
    "--fixed-performance",
    type=click.Choice(["auto", "on", "off"]),
    default="auto",
    show_default=True,
    help="Hold a phone's clocks at what it can sustain; auto: where it can.",
)
@click.option(
    "--max-temperature",
    type=click.FloatRange(min=0, max=100),
    default=38.0,
    show_default=True,
    metavar="C",
    help="Of a phone's skin and battery, before each process.",
)
@click.option(
    "--min-battery",
    type=click.FloatRange(min=0, max=100),
    default=20.0,
    show_default=True,
    metavar="PERCENT",
    help="Of a phone, before each process.",
)
@click.option(
    "--wait", default="5min", show_default=True, help="For these limits; then go on, flagged."
)
@click.option(
    "--reconnect", default="60s", show_default=True, help="For a phone that was lost to come back."
)
@click.option(
    "--runner",
    multiple=True,
    metavar="TOOL=PATH",
    help="Cross-check on a phone: benchmark_model, onnxruntime_perf_test, executor_runner.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
@click.option("--quiet", is_flag=True, help="No progress and no table.")
def command(
    device_names: tuple[str, ...],
    timeout: str,
    app: Path | None,
    launch: Launch,
    keep: bool,
    as_json: bool,
    quiet: bool,
    **options: Any,
) -> None:
    """Measure ARTIFACTS (.tflite, .onnx, .pte), each proven by its manifest first.

    Every repeat is a new process, in a seeded order. With --compare, processes hold two
    artifacts and interleave their inferences: that tells differences of a few percent apart.
    """
    from cnn_export.benchmarks.devices.kinds import DeviceOptions
    from cnn_export.benchmarks.devices.named_devices import find_devices, require_phone_options
    from cnn_export.benchmarks.run.run_job import perform
    from cnn_export.benchmarks.run.run_progress import screen
    from cnn_export.command_line.durations import parse_duration_s

    require_phone_options(device_names, _given(_PHONE_OPTIONS))
    policy = _phone_policy(options)
    request = _request(options)
    devices: list[Device] = []
    with screen(quiet=quiet, several=lambda: len(devices) > 1) as shown:
        wanted = DeviceOptions(parse_duration_s(timeout), app, launch, keep, policy, shown.wait)
        devices += find_devices(device_names, wanted)
        finished = perform(request, devices, shown.report)
    # What failed is told behind the table of what did not.
    failure = finished.first_failure(request.out)
    _tell(finished.runs, request, failure, as_json=as_json, quiet=quiet)
    if failure is not None:
        raise failure


def _given(names: Sequence[str]) -> list[str]:
    """Return those options that the user wrote."""
    context = click.get_current_context()
    written = click.core.ParameterSource.COMMANDLINE
    return [name for name in names if context.get_parameter_source(name) == written]


def _phone_policy(options: dict[str, Any]) -> PhonePolicy:
    """Take out of ``options`` how phones are treated."""
    from cnn_export.benchmarks.devices.adb.lifecycle.phone_lifecycle import PhonePolicy
    from cnn_export.benchmarks.devices.adb.lifecycle.settings_policy import SettingsPolicy
    from cnn_export.benchmarks.devices.adb.lifecycle.waiting import Limits
    from cnn_export.command_line.durations import parse_duration_s

    limits = Limits(
        options.pop("max_temperature"),
        options.pop("min_battery"),
        parse_duration_s(options.pop("wait"), zero=True),
    )
    reconnect_s = parse_duration_s(options.pop("reconnect"), zero=True)
    return PhonePolicy(SettingsPolicy(options.pop("fixed_performance")), limits, reconnect_s)


def _tools(given: Sequence[str]) -> tuple[ToolBinary, ...]:
    if not given:
        return ()
    from cnn_export.benchmarks.devices.adb.vendor_tools.tool_registry import tool_binaries

    return tuple(tool_binaries(given))


def _request(options: dict[str, Any]) -> Request:
    from cnn_export.benchmarks.run.run_request import Request
    from cnn_export.command_line.durations import parse_duration_s

    repeats, seconds = _REPEATS, parse_duration_s(options["min_time"] or _MIN_TIME)
    if options["compare"]:
        from cnn_export.benchmarks.statistics.summary import (
            DEFAULT_PAIR_REPEATS,
            DEFAULT_PAIR_SECONDS,
        )

        repeats = DEFAULT_PAIR_REPEATS
        seconds = seconds if options["min_time"] else DEFAULT_PAIR_SECONDS
    elif options["block"] != 1:
        raise UsageError("--block says how artifacts interleave; give --compare with it")
    kept: dict[str, Any] = {name: value for name, value in options.items() if name != "min_time"}
    kept["repeats"] = options["repeats"] or repeats
    kept["threads"] = options["threads"] or (1,)
    kept["tools"] = _tools(kept.pop("runner"))
    return Request(**kept, min_time_s=seconds)


def _tell(
    runs: Sequence[DeviceRun],
    request: Request,
    failure: ExportError | None,
    *,
    as_json: bool,
    quiet: bool,
) -> None:
    """Tell what there is; a failure, which follows, tells by itself how much is kept."""
    from cnn_export.benchmarks.tables import run_document, run_table
    from cnn_export.command_line.console import warn

    if any(run.torn_bytes for run in runs):
        click.echo(f"a torn last line of {request.out} is now in {request.out}.torn", err=True)
    if lines := list(dict.fromkeys(line for run in runs for line in run.left_out)):
        shown = "; ".join(lines[:_LINES_SHOWN]) + ("; …" if len(lines) > _LINES_SHOWN else "")
        warn(f"{request.out}: left out and measured again where needed: {shown}")
    for note in (note for run in runs for note in run.notes):
        warn(note)
    if as_json:
        shown = [run.run.model_dump() for run in runs]
        document = {"run": shown[0]} if len(shown) == 1 else {"runs": shown}
        click.echo(
            json.dumps(document | run_document.document(_results(request.out, runs)), indent=2)
        )
        return
    kept = sum(run.processes for run in runs)
    if kept and not quiet:
        run_table.show(_results(request.out, runs))
    if failure is None and not quiet:
        click.echo(f"{kept} processes are kept in {request.out}", err=True)


def _results(out: Path, runs: Sequence[DeviceRun]) -> Results:
    """Return the series of these runs as the file has them now, with earlier runs' processes.

    What cannot be read again must not hide how the runs ended: then it is their own records.
    """
    from cnn_export.benchmarks.results.read_series import results_of
    from cnn_export.benchmarks.results.results_file import read_records
    from cnn_export.command_line.console import warn

    try:
        everything = results_of(read_records(out), str(out), lenient=True)
    except InputRefused as error:
        warn(f"{error}; shown is what this run has kept")
        own = (record for run in runs for record in run.records)
        everything = results_of(own, str(out), lenient=True)
    return everything.of_runs({each.run.run_id for each in runs})
