"""``cnn-bench gate``: exit codes, what is refused, and files judged without running."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import made_results as made
import pytest
from affine_artifact import manifest_of, save_manifest, write_onnx

from cnn_export.atomic_commit import save_text
from cnn_export.benchmarks.cli import main
from cnn_export.benchmarks.results.record_types import Conditions
from cnn_export.errors import DestinationError

MEDIANS = [9.7, 9.8, 9.9, 10.0, 10.1, 10.2, 10.3]


@pytest.fixture
def results(tmp_path: Path) -> Path:
    return made.save(tmp_path / "r.jsonl", [*made.opened(), *made.repeats_ms(MEDIANS)])


def gate(budgets: str, *options: object, folder: Path) -> int:
    path = folder / "budgets.toml"
    path.write_text(budgets)
    return main(["gate", "--budgets", str(path), *map(str, options)])


@pytest.mark.parametrize(("limit", "code"), [(11, 0), (10, 11), (9, 10)])
def test_exit_codes(results: Path, tmp_path: Path, limit: int, code: int):
    assert gate(f"[[budget]]\nlatency_ms = {limit}", results, folder=tmp_path) == code


def test_a_slow_run_is_not_lost_among_fast_ones_of_a_restarted_device(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    """The memory that the kernel leaves, by some bytes another after each start, parts them."""
    other = made.DEVICE.model_copy(update={"memory_bytes": made.DEVICE.memory_bytes - 4096})
    fast = made.repeats_ms([4 + n / 10 for n in range(20)], run_id="f" * 16)
    again = [made.run("f" * 16, other), made.artifact(run_id="f" * 16), *fast]
    both = [*made.opened(), *made.repeats_ms(MEDIANS), *again]
    base = made.save(tmp_path / "base.jsonl", both)
    assert gate("[[budget]]\nlatency_ms = 9", base, folder=tmp_path) == 10
    text = "[[budget]]\nregression_percent = 50"
    assert gate(text, results, "--baseline", base, folder=tmp_path) == 4
    assert "several versions of net.tflite under the same conditions" in capsys.readouterr().err


def test_missed_outweighs_undecided(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert gate("[[budget]]\nlatency_ms = 10\nmacs = 1", results, folder=tmp_path) == 10
    assert capsys.readouterr().err == "cnn-bench: 1 of 2 bounds are missed\n"


def test_unmatched_is_refused_unless_allowed(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    text = '[[budget]]\nmacs = 1000\n[[budget]]\nmodel = "nett"\nmacs = 1'
    assert gate(text, results, folder=tmp_path) == 4
    assert "budget 2 (model nett) selects no result" in capsys.readouterr().err
    assert gate(text, results, "--allow-unmatched", folder=tmp_path) == 0
    assert "not judged: budget 2" in capsys.readouterr().err


def test_a_result_without_a_budget_is_refused(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    more = made.repeats_ms(MEDIANS, threads=2)
    made.save(results, [*made.opened(), *made.repeats_ms(MEDIANS), *more])
    assert gate("[[budget]]\nthreads = 1\nmacs = 1000", results, folder=tmp_path) == 4
    assert "no budget selects net.tflite" in capsys.readouterr().err


def test_allowing_the_unmatched_does_not_let_a_gate_judge_nothing(results: Path, tmp_path: Path):
    text = '[[budget]]\nmodel = "nett"\nmacs = 1'
    assert gate(text, results, "--allow-unmatched", folder=tmp_path) == 4


def test_a_regression_without_a_baseline_is_refused(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert gate("[[budget]]\nregression_percent = 3", results, folder=tmp_path) == 4
    assert "give --baseline" in capsys.readouterr().err


def test_a_baseline_from_elsewhere_is_refused_even_if_unmatched_is_allowed(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    other = made.repeats_ms(MEDIANS, runtime_version="1.0")
    base = made.save(tmp_path / "base.jsonl", [*made.opened(), *other])
    options = ("--baseline", base, "--allow-unmatched")
    assert gate("[[budget]]\nregression_percent = 9", results, *options, folder=tmp_path) == 4
    assert "runtime version 1.0 → 2.3.0" in capsys.readouterr().err


def test_a_flag_may_be_ignored(results: Path, tmp_path: Path):
    busy = Conditions(flags=["others_busy"])
    base = made.save(
        tmp_path / "base.jsonl", [*made.opened(), *made.repeats_ms(MEDIANS, conditions=busy)]
    )
    text = "[[budget]]\nregression_percent = 9"
    assert gate(text, results, "--baseline", base, folder=tmp_path) == 4
    ignoring = ("--baseline", base, "--ignore-flag", "others_busy")
    assert gate(text, results, *ignoring, folder=tmp_path) == 0


def test_a_baseline_of_another_schema_is_refused(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    base = tmp_path / "base.jsonl"
    document = json.loads(made.run().to_line()) | {"schema_version": 7}
    base.write_text(json.dumps(document) + "\n")
    text = "[[budget]]\nregression_percent = 9"
    assert gate(text, results, "--baseline", base, folder=tmp_path) == 4
    error = capsys.readouterr().err
    assert "base.jsonl" in error
    assert "schema version 7" in error
    assert error.count("\n") == 1


def test_a_file_is_judged_without_running(affine_onnx: Path, tmp_path: Path):
    size = affine_onnx.stat().st_size
    for limit, code in ((size, 0), (size - 1, 10)):
        text = f"[[budget]]\nfile_bytes = {limit}"
        assert gate(text, "--artifact", affine_onnx, folder=tmp_path) == code


def test_a_file_that_did_not_run_has_no_latency(
    affine_onnx: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    text = "[[budget]]\nlatency_ms = 3\nfile_bytes = 1_000_000"
    assert gate(text, "--artifact", affine_onnx, folder=tmp_path) == 4
    assert "it did not run" in capsys.readouterr().err
    assert gate(text, "--artifact", affine_onnx, "--allow-unmatched", folder=tmp_path) == 0


def test_a_file_that_is_not_the_proven_one_is_refused(tmp_path: Path):
    path = tmp_path / "affine.onnx"
    write_onnx(path)
    save_manifest(path, manifest_of(path, "onnx"))
    path.write_bytes(path.read_bytes() + b"\0")
    assert gate("[[budget]]\nfile_bytes = 99999", "--artifact", path, folder=tmp_path) == 3


def test_nothing_to_judge_is_a_wrong_usage(results: Path, affine_onnx: Path, tmp_path: Path):
    text = "[[budget]]\nmacs = 1"
    assert gate(text, folder=tmp_path) == 2
    baseline = ("--artifact", affine_onnx, "--baseline", results)
    assert gate(text, *baseline, folder=tmp_path) == 2
    twice = ("--artifact", affine_onnx, "--artifact", affine_onnx)
    assert gate(text, *twice, folder=tmp_path) == 2


@pytest.mark.parametrize("option", ["--junit", "--bmf", "--markdown"])
@pytest.mark.parametrize("name", ["r.jsonl", "base.jsonl", "budgets.toml", "link"])
def test_an_output_never_replaces_what_was_measured(
    results: Path, tmp_path: Path, option: str, name: str, capsys: pytest.CaptureFixture[str]
):
    base = tmp_path / "base.jsonl"
    base.write_bytes(results.read_bytes())
    (tmp_path / "link").symlink_to(results)
    before = results.read_bytes()
    options = ("--baseline", base, option, tmp_path / name)
    assert gate("[[budget]]\nmacs = 1000", results, *options, folder=tmp_path) == 2
    assert "would be overwritten" in capsys.readouterr().err
    assert results.read_bytes() == base.read_bytes() == before


def test_two_outputs_are_two_files(results: Path, tmp_path: Path):
    options = ("--junit", tmp_path / "x", "--bmf", tmp_path / "x")
    assert gate("[[budget]]\nmacs = 1000", results, *options, folder=tmp_path) == 2
    assert not (tmp_path / "x").exists()


def test_an_output_is_whole_or_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "out.xml"
    path.write_text("before")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(DestinationError, match="No space left"):
        save_text(path, "after")
    assert [each.name for each in tmp_path.iterdir()] == ["out.xml"]
    assert path.read_text() == "before"


@pytest.mark.parametrize("name", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"])
def test_redirected_standard_output_keeps_what_is_printed_around(name: str, tmp_path: Path):
    code = (
        "import sys; from pathlib import Path; "
        "from cnn_export.atomic_commit import append_text, save_text; "
        f"print('before'); save_text(Path({name!r}), 'saved\\n'); "
        f"append_text(Path({name!r}), 'added\\n'); print('after')"
    )
    out = tmp_path / "log"
    with out.open("w") as opened:
        subprocess.run([sys.executable, "-c", code], stdout=opened, check=True)
    assert out.read_text() == "before\nsaved\nadded\nafter\n"
    assert list(tmp_path.iterdir()) == [out]


def test_a_file_under_dev_is_written_in_place():
    with pytest.raises(DestinationError, match="/dev/full: No space left"):
        save_text(Path("/dev/full"), "text")
    assert stat.S_ISCHR(Path("/dev/full").stat().st_mode)


def test_an_output_has_the_mode_it_had_or_what_the_umask_leaves(tmp_path: Path):
    kept, new = tmp_path / "kept", tmp_path / "new"
    kept.touch()
    kept.chmod(0o640)
    before = os.umask(0o077)
    try:
        save_text(kept, "text")
        save_text(new, "text")
    finally:
        os.umask(before)
    assert [stat.S_IMODE(path.stat().st_mode) for path in (kept, new)] == [0o640, 0o600]


def test_an_output_that_cannot_be_written_is_refused(results: Path, tmp_path: Path):
    text = "[[budget]]\nmacs = 1000"
    for option in ("--junit", "--markdown", "--bmf"):
        assert gate(text, results, option, tmp_path / "no" / "file", folder=tmp_path) == 4


def test_neither_torch_nor_scipy_is_loaded(results: Path, tmp_path: Path):
    (tmp_path / "b.toml").write_text("[[budget]]\nlatency_ms = 99\nregression_percent = 99")
    code = (
        "import sys; from cnn_export.benchmarks.cli import main; "
        "code = main(sys.argv[1:]); heavy = {'torch', 'scipy', 'onnx'} & set(sys.modules); "
        "sys.exit(str(heavy) if heavy else code)"
    )
    arguments = [results, "--budgets", tmp_path / "b.toml", "--baseline", results]
    command = [sys.executable, "-c", code, "gate", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
