"""What a phone tells of itself, its clusters, and what keeps results apart."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnn_export.benchmarks.devices.adb.app.phone_session import numbers
from cnn_export.benchmarks.devices.adb.clusters import Core, clusters, cpus_of, mask, spans
from cnn_export.benchmarks.devices.adb.phone_info import parse_phone_info
from cnn_export.benchmarks.results import record_types
from cnn_export.benchmarks.results.series import Setting
from cnn_export.errors import UsageError

FACTS = """prop ro.product.manufacturer Paper
prop ro.product.model Paper 8 | Pro
prop ro.soc.manufacturer Chip
prop ro.soc.model C9
prop ro.board.platform c9
prop ro.product.cpu.abi arm64-v8a
prop ro.product.cpu.abilist arm64-v8a,armeabi-v7a
prop ro.build.version.sdk 34
prop ro.build.version.release 14
prop ro.build.fingerprint paper/p/8:14/X/1:user/keys
memory 7900000
kernel 6.1.0-android aarch64
cpu 0|280|1803000||schedutil
cpu 7|1024|2850000|1|performance
cpu 3|||0|
cpu 10|280|1803000|1|schedutil
"""


def test_facts() -> None:
    info = parse_phone_info(FACTS)
    assert info is not None
    assert (info.model, info.soc, info.api_level) == ("Paper 8 | Pro", "Chip C9", 34)
    assert info.abis == ("arm64-v8a", "armeabi-v7a")
    assert info.memory_bytes == 7_900_000 * 1024
    assert info.cpus == (0, 7, 10)
    assert info.governor == "performance,schedutil"
    assert info.kernel == "6.1.0-android aarch64"


@pytest.mark.parametrize(
    "missing", ["prop ro.build.version.sdk", "prop ro.product.cpu.abi", "cpu "]
)
def test_what_tells_too_little_is_no_phone(missing: str) -> None:
    assert (
        parse_phone_info("\n".join(x for x in FACTS.splitlines() if not x.startswith(missing)))
        is None
    )


def test_an_older_phone_names_its_board_and_a_single_abi() -> None:
    text = FACTS.replace("Chip\n", "\n").replace("C9\n", "\n")
    text = text.replace("arm64-v8a,armeabi-v7a", "")
    info = parse_phone_info(text)
    assert info is not None
    assert (info.soc, info.abis) == ("c9", ("arm64-v8a",))


@pytest.mark.parametrize("damaged", ["cpu x|280|1803000|1|schedutil", "cpu 11|280|1803000|1"])
def test_a_damaged_core_does_not_count(damaged: str) -> None:
    info = parse_phone_info(f"{FACTS}{damaged}\n")
    assert info == parse_phone_info(FACTS)


@given(
    st.text(max_size=400)
    | st.lists(st.sampled_from([*FACTS.splitlines(), "cpu", "x"])).map("\n".join)
)
def test_any_answer_is_read_or_not(text: str) -> None:
    info = parse_phone_info(text)
    if info is not None:
        assert info.cores
        assert all(value.isprintable() for value in (info.model, info.release, info.kernel))


def _cores(*ranks: tuple[int | None, int | None]) -> list[Core]:
    return [Core(number, *rank) for number, rank in enumerate(ranks)]


@pytest.mark.parametrize(
    ("cores", "groups"),
    [
        (_cores((280, 9), (280, 9), (760, 5), (1024, 7)), [(0, 1), (2,), (3,)]),
        (_cores((None, 3), (None, 2), (None, 3)), [(1,), (0, 2)]),
        (_cores((280, 3), (None, 2), (280, 3)), [(1,), (0, 2)]),
        (_cores((None, None), (None, 2)), [(0, 1)]),
    ],
    ids=["capacity", "clock", "capacity of some only", "nothing"],
)
def test_clusters_by_what_the_kernel_tells(cores: list[Core], groups: list[tuple[int]]) -> None:
    assert [tuple(core.number for core in group) for group in clusters(cores)] == groups


def test_a_core_that_is_off_is_in_no_cluster() -> None:
    cores = _cores((280, 1), (280, 1), (1024, 2), (1024, 2))
    cores[3] = dataclasses.replace(cores[3], online=False)
    assert cpus_of("big", cores) == (2,)
    assert cpus_of("little", cores) == (0, 1)
    with pytest.raises(UsageError, match="all of one kind"):
        cpus_of("big", cores[:2])


@given(st.sets(st.integers(0, 300), min_size=1))
def test_masks_and_spans_hold_exactly_the_cores(cpus: set[int]) -> None:
    assert {n for n in range(301) if int(mask(tuple(cpus)), 16) >> n & 1} == cpus
    assert numbers(spans(tuple(cpus))) == cpus


def test_spans() -> None:
    assert spans([6, 0, 1, 2, 3]) == "0-3,6"
    assert mask([4, 5, 6, 7]) == "f0"


@pytest.mark.parametrize(
    ("field", "value", "named"),
    [
        ("soc", "C8", "device SoC C9 → C8"),
        ("abi", "x86", "device ABI arm64-v8a → x86"),
        ("api_level", 33, "device API level 34 → 33"),
        ("build", "p/2", "device build p/1 → p/2"),
        ("launch", "activity", "launch app_process → activity"),
        ("launch", None, "launch app_process → unknown"),
    ],
)
def test_results_of_phones_that_differ_in_one_fact_name_it(
    field: str, value: object, named: str
) -> None:
    device = record_types.Device(
        id="0A1B",
        kind="adb",
        model="Paper",
        cpus=8,
        memory_bytes=1,
        system="Android 14",
        soc="C9",
        abi="arm64-v8a",
        api_level=34,
        build="p/1",
        launch="app_process",
    )
    old = Setting(device, "onnxruntime", "1", (), 1)
    new = dataclasses.replace(old, device=device.model_copy(update={field: value}))
    assert old.differences(new) == [named]
