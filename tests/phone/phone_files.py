"""The files of a fake phone: what its kernel shows, its private state, and its programs."""

from __future__ import annotations

import os
import shutil
import uuid
from pathlib import Path

from phone.phone_spec import Cluster, PhoneSpec

STAND_INS = Path(__file__).parent / "stand_ins"
_TOOLBOX = """
basename cat chmod cp cut date dd dirname echo env expr false find grep head kill ln ls
mkdir mktemp mv nice nohup od printf ps pwd readlink realpath rm rmdir sed seq setsid sh
sha256sum sleep sort stat sync tail tee timeout touch tr true uname uniq wc xargs
"""
TOOLS = tuple(_TOOLBOX.split())
"""What a phone's toybox has of this machine's tools; whatever is not here is not found there."""
THERMAL_ZONES = {"cpu-0-0": 34.0, "cpu-1-0": 36.5, "battery": 28.0}


def build(root: Path, spec: PhoneSpec) -> None:
    """Make the folders and files of a phone that was just set up."""
    for folder in ("data/local/tmp", "data/app", "data/data", "system/bin", "sdcard", ".phone"):
        (root / folder).mkdir(parents=True)
    (root / "data/user").mkdir()
    (root / "data/user/0").symlink_to("../data")  # the first user's apps
    _programs(root / "system/bin")
    _cores(root, spec)
    _thermal_zones(root)
    write(root, "proc/meminfo", f"MemTotal: {spec.memory_kib} kB\nMemAvailable: 4200000 kB\n")
    write(root, "proc/cpuinfo", "".join(f"processor\t: {cpu}\n\n" for cpu in spec.cpus))
    write(root, "proc/loadavg", "0.42 0.40 0.38 1/900 4242\n")
    write(root, "proc/stat", "cpu  100 0 100 9000 0 0 0 0 0 0\n")
    for name, value in spec.properties().items():
        write(root, f".phone/properties/{name}", value + "\n")
    write(root, ".phone/cores", " ".join(map(str, spec.cpus)))
    write(root, ".phone/api", str(spec.api))
    boot(root)


def boot(root: Path) -> None:
    """Make what is new after each start of the phone; settings and files stay."""
    write(root, "proc/sys/kernel/random/boot_id", f"{uuid.uuid4()}\n")
    write(root, "proc/uptime", "120.00 900.00\n")
    write(root, "proc/sys/kernel/perf_event_paranoid", "3\n")
    write(root, ".phone/properties/security.perf_harden", "1\n")
    write(root, ".phone/fixed_performance", "false\n")
    write(root, ".phone/screen", "Awake\n")


def write(root: Path, path: str, text: str) -> None:
    target = root / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text)


def _programs(folder: Path) -> None:
    for tool in TOOLS:
        found = shutil.which(tool, path="/usr/bin:/bin")
        if found is not None:
            (folder / tool).symlink_to(found)
    for stand_in in STAND_INS.iterdir():
        (folder / stand_in.name).symlink_to(stand_in)
        assert os.access(stand_in, os.X_OK), f"{stand_in} is not executable"


def _cores(root: Path, spec: PhoneSpec) -> None:
    first, last = min(spec.cpus), max(spec.cpus)
    for name in ("online", "possible", "present"):
        write(root, f"sys/devices/system/cpu/{name}", f"{first}-{last}\n")
    for cluster in spec.clusters:
        policy = f"sys/devices/system/cpu/cpufreq/policy{cluster.cpus[0]}"
        _policy(root, policy, cluster)
        for cpu in cluster.cpus:
            folder = f"sys/devices/system/cpu/cpu{cpu}"
            write(root, f"{folder}/cpu_capacity", f"{cluster.capacity}\n")
            write(root, f"{folder}/online", "1\n")
            (root / folder / "cpufreq").symlink_to(root / policy)


def _policy(root: Path, folder: str, cluster: Cluster) -> None:
    values = {
        "related_cpus": " ".join(map(str, cluster.cpus)),
        "affected_cpus": " ".join(map(str, cluster.cpus)),
        "cpuinfo_min_freq": cluster.minimum_khz,
        "cpuinfo_max_freq": cluster.maximum_khz,
        "scaling_min_freq": cluster.minimum_khz,
        "scaling_max_freq": cluster.maximum_khz,
        "scaling_cur_freq": cluster.maximum_khz,
        "scaling_governor": "schedutil",
    }
    for name, value in values.items():
        write(root, f"{folder}/{name}", f"{value}\n")


def _thermal_zones(root: Path) -> None:
    for number, (kind, celsius) in enumerate(THERMAL_ZONES.items()):
        zone = f"sys/class/thermal/thermal_zone{number}"
        write(root, f"{zone}/type", f"{kind}\n")
        write(root, f"{zone}/temp", f"{celsius * 1000:.0f}\n")
