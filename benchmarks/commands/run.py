"""``cnn-bench run``: measure artifacts on a device, and keep every sample."""

from __future__ import annotations

import contextlib
import json
import signal
import sys
from collections.abc import Callable, Generator
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import click

from cnn_export.errors import UsageError

if TYPE_CHECKING:
    from cnn_export.benchmarks.adb.launch import Launch
    from cnn_export.benchmarks.run_job import Finished, Request
    from cnn_export.benchmarks.runner import Progress

_DEFAULT_OUT = Path("results.jsonl")
_REPEATS, _MIN_TIME = 10, "1s"
_LINES_SHOWN = 3


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
    "--device", "device_name", default="host", show_default=True, help="host, adb, adb:SERIAL, …"
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
@click.option("--compare", is_flag=True, help="Alternate each artifact with the first.")
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
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
@click.option("--quiet", is_flag=True, help="No progress and no table.")
def command(
    device_name: str,
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
    artifacts and alternate their inferences: that tells differences of a few percent apart.
    """
    from cnn_export.benchmarks.devices import DeviceOptions, find_device
    from cnn_export.benchmarks.durations import parse_duration_s
    from cnn_export.benchmarks.run_job import perform

    request = _request(options)
    wishes = DeviceOptions(parse_duration_s(timeout), app, launch, keep)
    device = find_device(device_name, wishes)
    with _stopping_on_terminate(), _progress(quiet) as report:
        finished = perform(request, device, report)
    _tell(finished, request, as_json=as_json, quiet=quiet)
    failure = finished.first_failure(request.out)
    if failure is not None:
        raise failure


def _request(options: dict[str, Any]) -> Request:
    from cnn_export.benchmarks.durations import parse_duration_s
    from cnn_export.benchmarks.run_job import Request

    repeats, seconds = _REPEATS, parse_duration_s(options["min_time"] or _MIN_TIME)
    if options["compare"]:
        from cnn_export.benchmarks.statistics import DEFAULT_PAIR_REPEATS, DEFAULT_PAIR_SECONDS

        repeats = DEFAULT_PAIR_REPEATS
        seconds = seconds if options["min_time"] else DEFAULT_PAIR_SECONDS
    elif options["block"] != 1:
        raise UsageError("--block says how artifacts alternate; give --compare with it")
    kept: dict[str, Any] = {name: value for name, value in options.items() if name != "min_time"}
    kept["repeats"] = options["repeats"] or repeats
    kept["threads"] = options["threads"] or (1,)
    return Request(**kept, min_time_s=seconds)


def _tell(finished: Finished, request: Request, *, as_json: bool, quiet: bool) -> None:
    from cnn_export.benchmarks import run_summary, run_table
    from cnn_export.benchmarks.console import warn

    if finished.torn_bytes:
        click.echo(f"a torn last line of {request.out} is now in {request.out}.torn", err=True)
    if lines := finished.left_out:
        shown = "; ".join(lines[:_LINES_SHOWN]) + ("; …" if len(lines) > _LINES_SHOWN else "")
        warn(f"{request.out}: left out and measured again where needed: {shown}")
    if as_json:
        document = {"run": finished.run.model_dump()} | run_summary.document(finished.records)
        click.echo(json.dumps(document, indent=2))
    elif not quiet:
        run_table.show(finished.records)
        click.echo(f"{finished.processes} processes are kept in {request.out}", err=True)


@contextlib.contextmanager
def _progress(quiet: bool) -> Generator[Callable[[Progress], None]]:
    """Show a bar on a terminal's stderr, and nothing anywhere else."""
    if quiet or not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.description}"),
    )
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("")

        def show(at: Progress) -> None:
            names = " and ".join(subject.name for subject in at.turn.subjects)
            text = f"{names}, {at.turn.kind}, repeat {at.turn.repeat + 1}"
            bar.update(task, completed=at.done, total=at.total, description=text)

        yield show


@contextlib.contextmanager
def _stopping_on_terminate() -> Generator[None]:
    """Treat SIGTERM and a closed terminal as Ctrl-C: what was measured is kept, the worker ended.

    A signal that somebody ignores, as ``nohup`` does, stays ignored.
    """

    def stop(number: int, frame: FrameType | None) -> None:
        del number, frame
        raise KeyboardInterrupt

    numbers = (signal.SIGTERM, signal.SIGHUP)
    taken = [number for number in numbers if signal.getsignal(number) is signal.SIG_DFL]
    for number in taken:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number in taken:
            signal.signal(number, signal.SIG_DFL)
