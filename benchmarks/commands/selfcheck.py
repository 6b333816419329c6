"""``cnn-bench selfcheck``: does this device tell a slowdown of 3 % from noise?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from cnn_export.benchmarks.selfcheck.selfcheck import SelfCheck

TRIALS = 200
_LIMIT_S = 50.0
"""No process starts later, so that all of it stays within 90 seconds."""
_SEED = 20210711


@click.command("selfcheck")
@click.argument("artifact", required=False, type=click.Path(path_type=Path))
@click.option(
    "--trials",
    type=click.IntRange(min=100),
    default=TRIALS,
    show_default=True,
    help="Simulated comparisons per kind of noise.",
)
@click.option("--seed", type=int, default=_SEED, show_default=True, help="Of the simulations.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def command(artifact: Path | None, trials: int, seed: int, as_json: bool) -> None:
    """Check the default comparison: on ARTIFACT against itself here, and on known noise.

    Times ARTIFACT (.tflite, .onnx, .pte) interleaved with itself, then counts false alarms, found
    slowdowns and covered truths on those times, on recorded and on synthetic noise. Takes at
    most 90 seconds. Exit code 12 where this device is too noisy, 1 where the statistics fail.
    """
    from cnn_export.benchmarks.devices.host.host import HostDevice
    from cnn_export.benchmarks.runtimes.runtime_registry import run_extras, runtime_of
    from cnn_export.benchmarks.selfcheck import selfcheck_display
    from cnn_export.benchmarks.selfcheck.selfcheck import judge, measure_against_itself
    from cnn_export.benchmarks.statistics.comparison import DEFAULT_PAIR_REPEATS
    from cnn_export.command_line.packages import require_all

    wanted = [] if artifact is None else [runtime_of(artifact).package]
    require_all({**run_extras(wanted), "selfcheck": ["scipy"]})
    times = (
        None
        if artifact is None
        else measure_against_itself(HostDevice(), artifact, DEFAULT_PAIR_REPEATS, _LIMIT_S)
    )
    check = judge(times, trials, seed)
    if as_json:
        click.echo(selfcheck_display.document(check))
    else:
        selfcheck_display.show(check)
    _require_passed(check)


def _require_passed(check: SelfCheck) -> None:
    from cnn_export.errors import DeviceUnfit, ExportError

    if check.problems:
        raise ExportError(f"the statistics failed: {'; '.join(check.problems)}")
    if check.device_problems:
        raise DeviceUnfit(
            f"this device is too noisy now: {'; '.join(check.device_problems)}; "
            "stop other work and try again"
        )
