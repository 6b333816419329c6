"""Damage to results and budgets: refused, or a verdict that is no better than before.

Held to that is what a disk, a crash, a merge or an editor does: lines and bytes lost, doubled,
swapped or cut, fields lost, numbers that are none, names exchanged. Not held to it is what no
reader can tell from a measurement: another plausible time, or a file cut where a killed run would
have left it, which may be undecided, with the lost part named, where the whole was missed.
"""

from __future__ import annotations

import contextlib
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import made_results as made
import pytest
from damage import damaged_bytes, damaged_lines
from effort import seeds
from two_devices import (
    MS,
    OLD,
    PAIR_RUN,
    PHONE_RUN,
    WHOLE,
    A,
    B,
    ending,
    on_two_devices,
    refusal_or,
    run_of_two,
)

from cnn_export.benchmarks.cli import main
from cnn_export.benchmarks.gate.budgets import parse_budgets
from cnn_export.benchmarks.gate.candidates import candidates_of, shortfalls_of
from cnn_export.benchmarks.gate.judge import Verdict, judge
from cnn_export.benchmarks.gate.regression import Regressions
from cnn_export.benchmarks.report.writing import Sources, page_of
from cnn_export.benchmarks.results.read_series import read_results
from cnn_export.benchmarks.results.record_types import Ending, Record
from cnn_export.benchmarks.run.resume import last_run
from cnn_export.benchmarks.tables.compare_table import as_json, of_pairs, of_series
from cnn_export.errors import ExportError, InputRefused

RANKS = {"met": 0, "undecided": 1, "missed": 2}
WIDE = "[[budget]]\nlatency_ms = 30.0\nlatency_p90_ms = 40.0\npeak_memory_bytes = 90_000_000\n"
NARROW = "[[budget]]\nlatency_ms = 3.0\npeak_memory_bytes = 90_000_000\n"
SLOWER = "[[budget]]\nregression_percent = 20\n"


def run_of_pairs(factor: float) -> list[Record]:
    dice = random.Random(2)  # noqa: S311 - no secret
    opening = made.run(PAIR_RUN, repeats=10, artifacts=[OLD, A], compare=True)
    artifacts = [made.artifact(name, PAIR_RUN) for name in ("old.tflite", "a.tflite")]

    def times(ms: float) -> list[int]:
        return [round(ms * MS * (1 + dice.gauss(0, 0.01))) for _ in range(20)]

    pairs = [
        made.pair(n, times(10), times(10 * factor), run_id=PAIR_RUN, a=OLD, b=A) for n in range(10)
    ]
    return [opening, *artifacts, *pairs, ending(PAIR_RUN, "pair", [OLD, A], processes=10)]


def failed() -> list[Record]:
    """The second artifact failed after three processes; the other parts are whole."""
    lines = run_of_two(made.RUN_ID, made.DEVICE, 10)
    of_b = [each for each in lines if each.cnn_bench == "repeat" and each.artifact == B]
    lines = [each for each in lines if each not in of_b[3:]]
    more = {"outcome": "failed", "exit_code": 3, "processes": 3, "reason": "the output is off"}
    bad = ending(made.RUN_ID, "time", [B], **more)
    return [bad if isinstance(e, Ending) and e.artifacts == [B] and e.kind == "time" else e
            for e in lines]  # fmt: skip


def interrupted() -> list[Record]:
    """Ctrl-C after ten of sixteen processes."""
    lines = run_of_two(made.RUN_ID, made.DEVICE, 10)
    told = {"outcome": "lost", "processes": 5, "reason": "interrupted"}
    ends = [ending(made.RUN_ID, "time", [each], **told) for each in (A, B)]
    ends += [each for each in lines if isinstance(each, Ending) and each.kind == "memory"]
    return [*lines[:15], *ends]


LARGE = {"macs": 5000, "partitions": 4}
SCENARIOS: dict[str, tuple[list[Record], str, str]] = {
    "slow phone": (on_two_devices(10, 80), WIDE, "missed"),
    "slow": (WHOLE, NARROW, "missed"),
    "memory": (WHOLE, "[[budget]]\npeak_memory_bytes = 50_000_000\n", "missed"),
    "figures": (on_two_devices(10, 20, **LARGE), "[[budget]]\nmacs = 2000\n", "missed"),
    "partitions": (on_two_devices(10, 20, **LARGE), "[[budget]]\npartitions = 1\n", "missed"),
    "failed": (failed(), WIDE, "missed"),
    "interrupted": (interrupted(), WIDE, "undecided"),
    "slower": (run_of_pairs(1.5), SLOWER, "missed"),
    "as fast": (run_of_pairs(1.0), SLOWER, "met"),
}
"""Damage can better all but the last, which is there for what it ends with."""


def text_of(records: list[Record]) -> str:
    return "".join(record.to_line() for record in records)


def judged(results: Path, budgets: str) -> Verdict:
    measured = read_results(results)
    verdict = judge(
        candidates_of(measured),
        parse_budgets(budgets),
        Regressions(measured, None),
        shortfalls_of(measured),
    )
    if verdict.unmatched:
        raise InputRefused("; ".join(verdict.unmatched))
    return verdict


@pytest.mark.parametrize("name", SCENARIOS)
def test_undamaged_scenarios_are_what_they_are_called(name: str, tmp_path: Path):
    records, budgets, status = SCENARIOS[name]
    path = made.save_as_is(tmp_path / "r.jsonl", records)
    assert judged(path, budgets).status == status
    assert page_of(Sources(path))


Document = dict[str, Any]
_EXTREMES = (*(0, -1, -(2**63), 2**63, 2**64, 10**400, 1e308, 1.5, True, False, "1", None, [], {}),)


def _lose_a_field(document: Document, dice: random.Random) -> None:
    document.pop(dice.choice(sorted(document)))


def _no_number(document: Document, dice: random.Random) -> None:
    """Put what is no time and no count in the place of one.

    Figures of a file in one run only are bound by nothing else in it.
    """
    spared = {"seed", "b_first", "min_time_s"}
    keys = [key for key, value in document.items() if _numeric(value) and key not in spared]
    if not keys:
        return
    key = dice.choice(sorted(keys))
    if isinstance(document[key], list):
        document[key][dice.randrange(len(document[key]))] = dice.choice(_EXTREMES)
    else:
        document[key] = dice.choice(_EXTREMES)


def _numeric(value: object) -> bool:
    values = value if isinstance(value, list) else [value]
    return bool(values) and all(isinstance(each, int | float) for each in values)


def _other_names(document: Document, dice: random.Random) -> None:
    """Say that it is of another run, artifact, kind or outcome."""
    names = ("run_id", "artifact", "a", "kind", "outcome")
    key = dice.choice([each for each in names if each in document])
    others = {
        "run_id": [made.RUN_ID, PHONE_RUN, PAIR_RUN, "f" * 16],
        "kind": ["time", "memory"],
        "outcome": ["measured", "failed", "lost"],
    }
    document[key] = dice.choice(others.get(key, [A, B, OLD, "f" * 64]))


_FIELD_MUTATIONS: tuple[Callable[[Document, random.Random], None], ...] = (
    _lose_a_field,
    _no_number,
    _no_number,
    _other_names,
)


def damaged_records(text: str, seed: int) -> str:
    """Return ``text`` with one line changed that stays valid JSON, or doubled and changed."""
    dice = random.Random(seed)  # noqa: S311 - no secret
    lines = text.splitlines(keepends=True)
    at = dice.randrange(len(lines))
    document = json.loads(lines[at])
    dice.choice(_FIELD_MUTATIONS)(document, dice)
    changed = json.dumps(document) + "\n"
    keep = dice.random() < 0.2
    return "".join([*lines[: at + keep], changed, *lines[at + 1 :]])


def killed(text: str, seed: int) -> str:
    """Return what is there of ``text`` when a run is killed: its first lines, no endings."""
    lines = text.splitlines(keepends=True)
    kept = lines[: random.Random(seed).randrange(len(lines))]  # noqa: S311 - no secret
    return "".join(line for line in kept if '"ending"' not in line)


MUTATORS: tuple[Callable[[str, int], bytes], ...] = (
    lambda text, seed: damaged_lines(text, seed).encode(),
    lambda text, seed: damaged_records(text, seed).encode(),
    lambda text, seed: damaged_bytes(text.encode(), seed),
    lambda text, seed: killed(text, seed).encode(),
)


def _is_cut_short(content: bytes, whole: str) -> bool:
    """Whether only the end is missing, as of a run that was killed earlier."""
    unended = "".join(line for line in whole.splitlines(keepends=True) if '"ending"' not in line)
    return whole.encode().startswith(content) or unended.encode().startswith(content)


def test_damage_never_betters_a_verdict(tmp_path: Path):
    found = dict.fromkeys((*RANKS, "refused"), 0)
    for seed in seeds():
        name = list(SCENARIOS)[seed % len(SCENARIOS)]
        records, budgets, status = SCENARIOS[name]
        whole = text_of(records)
        content = MUTATORS[seed // len(SCENARIOS) % len(MUTATORS)](whole, seed)
        path = tmp_path / "r.jsonl"
        path.write_bytes(content)
        verdict = refusal_or(judged, path, budgets)
        if verdict is None:
            found["refused"] += 1
            continue
        found[verdict.status] += 1
        lost = any(each.shortfall for each in verdict.judgements)
        excused = verdict.status == "undecided" and lost and _is_cut_short(content, whole)
        assert RANKS[verdict.status] >= RANKS[status] or excused, (seed, name)
    assert all(found.values()), found


def test_a_regression_against_a_baseline_is_never_met_by_damage(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    """To the results or to the baseline, of two artifacts half as slow again."""
    texts = [
        text_of(run_of_two(run_id, made.DEVICE, ms))
        for run_id, ms in ((made.RUN_ID, 15), (PHONE_RUN, 10))
    ]
    paths = [tmp_path / "r.jsonl", tmp_path / "base.jsonl"]
    (tmp_path / "b.toml").write_text(SLOWER)
    command = ["gate", str(paths[0]), "--budgets", str(tmp_path / "b.toml"), "--baseline"]
    for path, text in zip(paths, texts, strict=True):
        path.write_text(text)
    assert main([*command, str(paths[1])]) == 10
    codes: set[int] = set()
    for seed in seeds(500):
        side = seed % 2
        paths[side].write_bytes(MUTATORS[seed // 2 % len(MUTATORS)](texts[side], seed))
        codes.add(code := main([*command, str(paths[1])]))
        assert code in (4, 10, 11), (seed, capsys.readouterr().err)
        paths[side].write_text(texts[side])
    assert {4, 10} <= codes


def test_every_reader_ends_with_a_line_or_a_page(tmp_path: Path):
    """Compare, report and resume read the same damaged files; only refusals come out of them."""
    base = made.save_as_is(tmp_path / "base.jsonl", WHOLE)
    path = tmp_path / "r.jsonl"
    answers = 0
    for seed in seeds(1000):
        name = list(SCENARIOS)[seed % len(SCENARIOS)]
        whole = text_of(SCENARIOS[name][0])
        path.write_bytes(MUTATORS[seed // len(SCENARIOS) % len(MUTATORS)](whole, seed))
        for read in (
            lambda: as_json(of_pairs(read_results(path))),
            lambda: as_json(of_series(read_results(base), read_results(path))),
            lambda: last_run(path, "host"),
            *([lambda: page_of(Sources(path))] if seed % 4 == 0 else []),
        ):
            with contextlib.suppress(ExportError):
                read()
                answers += 1
    assert answers > 0


@pytest.mark.parametrize("part", range(4))
def test_the_command_ends_with_one_line_and_a_known_code(
    part: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    base = made.save_as_is(tmp_path / "base.jsonl", WHOLE)
    budgets = tmp_path / "b.toml"
    for seed in list(seeds(200))[part::4]:
        records, text, _ = SCENARIOS[list(SCENARIOS)[seed % len(SCENARIOS)]]
        (tmp_path / "r.jsonl").write_bytes(MUTATORS[seed % len(MUTATORS)](text_of(records), seed))
        budgets.write_text(text)
        results = str(tmp_path / "r.jsonl")
        for arguments in (
            ["gate", results, "--budgets", str(budgets)],
            ["gate", results, "--budgets", str(budgets), "--baseline", str(base)],
            ["compare", results],
            ["report", results, "-o", str(tmp_path / "page.html")],
        ):
            code = main(arguments)
            error = capsys.readouterr().err
            assert code in (0, 4, 10, 11), (seed, arguments, error)
            assert "internal" not in error
            assert "Traceback" not in error
