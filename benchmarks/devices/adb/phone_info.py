"""What a phone is: asked for in one command, read with no trust in what comes."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from cnn_export.benchmarks.devices.adb.clusters import Core
from cnn_export.benchmarks.devices.adb.connection.device_text import clean
from cnn_export.benchmarks.devices.adb.connection.phone import Phone
from cnn_export.errors import DeviceUnfit

_CORES_MAX = 256
_KIBIBYTE = 1024

# One line per fact. A file that is missing or forbidden leaves its field empty; text is the last
# field of its line, so that spaces in it do no harm.
_SCRIPT = r"""
for key in ro.product.manufacturer ro.product.model ro.soc.manufacturer ro.soc.model \
  ro.board.platform ro.product.cpu.abi ro.product.cpu.abilist ro.build.version.sdk \
  ro.build.version.release ro.build.fingerprint
do echo "prop $key $(getprop "$key")"; done
while read -r name value unit; do
  case $name in MemTotal:) echo "memory $value" ;; esac
done </proc/meminfo
echo "kernel $(uname -r) $(uname -m)"
value() { read -r line <"$1" && echo "$line"; } 2>/dev/null
for folder in /sys/devices/system/cpu/cpu[0-9]*; do
  echo "cpu ${folder##*cpu}|$(value "$folder/cpu_capacity")|$(value \
    "$folder/cpufreq/cpuinfo_max_freq")|$(value "$folder/online")|$(value \
    "$folder/cpufreq/scaling_governor")"
done
"""


@dataclasses.dataclass(frozen=True)
class PhoneInfo:
    """What a phone tells of itself; ``abis`` are in its order of preference."""

    model: str
    soc: str | None
    abis: tuple[str, ...]
    api_level: int
    release: str
    build: str | None
    kernel: str
    memory_bytes: int
    cores: tuple[Core, ...]

    @property
    def governor(self) -> str | None:
        """Return the frequency governors in use."""
        found = {core.governor for core in self.cores if core.online and core.governor}
        return ",".join(sorted(found)) or None

    @property
    def cpus(self) -> tuple[int, ...]:
        """Return the numbers of the cores that are online."""
        return tuple(core.number for core in self.cores if core.online)


def read_phone_info(phone: Phone) -> PhoneInfo:
    """Ask a phone what it is, in one command.

    Raises:
        DeviceUnfit: it is not there, or its answer is not Android's.
    """
    found = parse_phone_info(phone.script(_SCRIPT).text)
    if found is None:
        raise DeviceUnfit(
            f"phone {phone.name} does not tell its API level and ABI: is it an Android device that"
            " has started up?"
        )
    return found


def parse_phone_info(text: str) -> PhoneInfo | None:
    """Return what it is; ``None`` without an API level, an ABI or a core."""
    properties: dict[str, str] = {}
    others: dict[str, str] = {}
    cores: dict[int, Core] = {}
    for line in text.splitlines():
        kind, _, rest = line.partition(" ")
        if kind == "prop":
            key, _, value = rest.partition(" ")
            properties.setdefault(key, clean(value))
        elif kind == "cpu" and (core := _core(rest)) is not None and len(cores) < _CORES_MAX:
            cores[core.number] = core
        else:
            others.setdefault(kind, rest)
    api_level, abis = _number(properties.get("ro.build.version.sdk", "")), _abis(properties)
    if api_level is None or not abis or not cores:
        return None
    return PhoneInfo(
        model=_joined(properties, "ro.product.manufacturer", "ro.product.model") or "unknown",
        soc=_joined(properties, "ro.soc.manufacturer", "ro.soc.model")
        or properties.get("ro.board.platform")
        or None,
        abis=abis,
        api_level=api_level,
        release=properties.get("ro.build.version.release", ""),
        build=properties.get("ro.build.fingerprint") or None,
        kernel=clean(others.get("kernel", "")),
        memory_bytes=(_number(others.get("memory", "")) or 0) * _KIBIBYTE,
        cores=tuple(cores[number] for number in sorted(cores)),
    )


def _core(text: str) -> Core | None:
    number, *fields = text.split("|", 4)
    if _number(number) is None or len(fields) != 4:
        return None
    capacity, max_khz, online, governor = fields
    # cpu0 mostly has no `online`: it cannot be switched off.
    return Core(
        int(number), _number(capacity), _number(max_khz), clean(governor, 40) or None, online != "0"
    )


def _number(text: str) -> int | None:
    text = text.strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 12 else None


def _abis(properties: Mapping[str, str]) -> tuple[str, ...]:
    listed = properties.get("ro.product.cpu.abilist") or properties.get("ro.product.cpu.abi", "")
    return tuple(abi for abi in listed.split(",") if abi)


def _joined(properties: Mapping[str, str], maker: str, name: str) -> str:
    """Return maker and name, without saying the maker twice."""
    first, second = properties.get(maker, ""), properties.get(name, "")
    return second if second.lower().startswith(first.lower()) else f"{first} {second}".strip()
