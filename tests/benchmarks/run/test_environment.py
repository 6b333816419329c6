"""What is read of a machine, on machines made of files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cnn_export.benchmarks.devices.host.fitness_flags import EXPLANATIONS, judge, others_load
from cnn_export.benchmarks.devices.host.host_counters import Snapshot, take_snapshot
from cnn_export.benchmarks.machine import host_info
from cnn_export.benchmarks.machine.cgroup import Limits, read_limits
from cnn_export.benchmarks.machine.host_info import (
    clocks_khz,
    cpu_model,
    describe_host,
    usable_cpus,
)

X86 = """\
processor : 0
model name : AMD EPYC
cpu MHz : 2596.120
flags : fpu {flag}

processor : 1
model name : AMD EPYC
cpu MHz : 3100.5
"""
ARM = "processor : 0\nCPU implementer : 0x41\nCPU part : 0xd0b\nCPU revision : 1\n"
CPU0 = "sys/devices/system/cpu/cpu0"


def _machine(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_an_empty_machine_is_described_all_the_same(tmp_path: Path) -> None:
    device = describe_host(tmp_path)
    assert (device.id, device.memory_bytes, device.governor) == ("host", 0, None)
    assert device.cpus >= 1
    assert take_snapshot((1,), {0}, tmp_path) is None
    assert read_limits(tmp_path) == Limits()


def test_a_container_holds_memory_and_cpus_back(tmp_path: Path) -> None:
    root = _machine(
        tmp_path,
        {
            "proc/meminfo": "MemFree: 1 kB\nMemTotal: 2000 kB\n",
            "proc/cpuinfo": X86.format(flag=""),
            f"{CPU0}/cpufreq/scaling_governor": "powersave\n",
            "proc/self/cgroup": "0::/a/b\n",
            "sys/fs/cgroup/a/cpu.max": "100000 100000\n",
            "sys/fs/cgroup/a/b/cpu.max": "300000 100000\n",
            "sys/fs/cgroup/cpu.max": "max 100000\n",
            "sys/fs/cgroup/a/b/memory.max": "1024000\n",
            "sys/fs/cgroup/a/b/cpu.stat": "usage_usec 5\nnr_periods 9\nnr_throttled 4\n",
        },
    )
    assert read_limits(root) == Limits(cpus=1.0, memory_bytes=1_024_000, throttled=4)
    device = describe_host(root)
    assert (device.model, device.cpus, device.memory_bytes) == ("AMD EPYC", 1, 1_024_000)
    assert device.governor == "powersave"


def test_control_groups_of_version_one(tmp_path: Path) -> None:
    v1 = "sys/fs/cgroup"
    root = _machine(
        tmp_path,
        {
            "proc/self/cgroup": "4:memory:/m\n2:cpu,cpuacct:/c\n0::/\n",
            f"{v1}/cpu/c/cpu.cfs_quota_us": "150000\n",
            f"{v1}/cpu/c/cpu.cfs_period_us": "100000\n",
            f"{v1}/cpu/c/cpu.stat": "nr_throttled 7\n",
            f"{v1}/memory/m/memory.limit_in_bytes": "9223372036854771712\n",
            f"{v1}/memory/memory.limit_in_bytes": "5000\n",
        },
    )
    assert read_limits(root) == Limits(cpus=1.5, memory_bytes=5000, throttled=7)


def test_no_quota_is_no_limit(tmp_path: Path) -> None:
    root = _machine(
        tmp_path,
        {
            "proc/self/cgroup": "2:cpu:/\n",
            "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
            "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
        },
    )
    assert read_limits(root).cpus is None


@pytest.mark.parametrize(("quota", "expected"), [(0.3, 1), (2.9, 2), (4.0, 3), (None, 3)])
def test_usable_cpus_are_whole_and_at_least_one(
    monkeypatch: pytest.MonkeyPatch, quota: float | None, expected: int
) -> None:
    monkeypatch.setattr(host_info.os, "sched_getaffinity", lambda _: {0, 2, 5})
    assert usable_cpus(quota) == expected


def test_arm_processors_have_numbers_for_a_name(tmp_path: Path) -> None:
    assert cpu_model(_machine(tmp_path, {"proc/cpuinfo": ARM})) == "0x41 0xd0b 1"


def test_a_nominal_clock_is_no_sample(tmp_path: Path) -> None:
    """Without cycle counters /proc/cpuinfo repeats one number for ever."""
    plain = _machine(tmp_path / "plain", {"proc/cpuinfo": X86.format(flag="")})
    counting = _machine(tmp_path / "counting", {"proc/cpuinfo": X86.format(flag="aperfmperf")})
    assert clocks_khz({0, 1}, plain) == []
    assert clocks_khz({1}, counting) == [3_100_500]


def test_the_kernel_driver_knows_the_clock_better(tmp_path: Path) -> None:
    root = _machine(
        tmp_path,
        {
            "proc/cpuinfo": X86.format(flag="aperfmperf"),
            f"{CPU0}/cpufreq/scaling_cur_freq": "1800000\n",
        },
    )
    assert clocks_khz({0, 1}, root) == [1_800_000]


def test_a_snapshot_tells_own_time_from_that_of_others(tmp_path: Path) -> None:
    root = _machine(
        tmp_path,
        {
            "proc/stat": "cpu  100 10 30 700 60 5 5 40 0 0\ncpu0 1 1\n",
            "proc/7/stat": "7 (a) b) c) S 1 7 7 0 -1 0 0 0 0 0 50 20 3 4 20 0\n",
            f"{CPU0}/thermal_throttle/core_throttle_count": "3\n",
            f"{CPU0}/thermal_throttle/package_throttle_count": "2\n",
            f"{CPU0}/cpufreq/scaling_cur_freq": "1800000\n",
        },
    )
    assert take_snapshot((7, 8), {0}, root) == Snapshot(
        total_ticks=950,
        busy_ticks=150,
        steal_ticks=40,
        own_ticks=70,
        clock_khz=1_800_000,
        thermal_throttles=5,
    )


def test_the_real_kernel_knows_that_this_process_works() -> None:
    first = take_snapshot((os.getpid(),), {0})
    if first is None:
        pytest.skip("no /proc/stat")
    while sum(os.times()[:2]) * 100 < first.own_ticks + 5:
        sum(range(100_000))
    second = take_snapshot((os.getpid(),), {0})
    assert second is not None
    assert second.own_ticks - first.own_ticks + 1 >= 5
    assert second.total_ticks > first.total_ticks


STILL = Snapshot(total_ticks=1000, busy_ticks=500, steal_ticks=0, own_ticks=400, clock_khz=1000)


def _later(**changes: int) -> Snapshot:
    """A second of two CPUs later, of which the worker used one."""
    after = {"total_ticks": 1200, "busy_ticks": 600, "steal_ticks": 0, "own_ticks": 500}
    return Snapshot(**{**after, "clock_khz": 1000, **changes})


def test_a_quiet_machine_has_no_flags() -> None:
    found = judge([STILL, _later()], cpus=(1, 0))
    assert found.flags == []
    assert found.cpus == [0, 1]
    assert found.clock_khz == [1000, 1000]
    assert found.others_load == 0.0


@pytest.mark.parametrize(
    ("changes", "flag"),
    [
        ({"busy_ticks": 621}, "others_busy"),
        ({"steal_ticks": 5}, "stolen"),
        ({"clock_khz": 940}, "clock_moved"),
        ({"thermal_throttles": 1}, "throttled"),
        ({"quota_throttles": 1}, "quota_throttled"),
    ],
)
def test_each_unfit_condition_has_its_name(changes: dict[str, int], flag: str) -> None:
    assert judge([STILL, _later(**changes)]).flags == [flag]
    assert EXPLANATIONS[flag]


@pytest.mark.parametrize("changes", [{"busy_ticks": 620}, {"steal_ticks": 4}, {"clock_khz": 950}])
def test_thresholds_are_limits_that_may_be_reached(changes: dict[str, int]) -> None:
    assert judge([STILL, _later(**changes)]).flags == []


def test_given_flags_come_first_and_a_single_look_tells_no_load() -> None:
    found = judge([STILL], given=["not_settled"])
    assert (found.flags, found.others_load) == (["not_settled"], None)
    assert judge([]).clock_khz == []


def test_a_moment_too_short_tells_no_load() -> None:
    assert others_load(STILL, _later(total_ticks=1019)) is None
    assert others_load(STILL, _later(total_ticks=1100, busy_ticks=590)) == 0.0
    assert others_load(STILL, _later(total_ticks=1100, busy_ticks=650)) == 0.5
