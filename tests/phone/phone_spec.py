"""What a fake phone is: model, Android version, ABIs, cores."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Cluster:
    """Cores that share a clock, whose frequencies are in kHz."""

    cpus: tuple[int, ...]
    minimum_khz: int
    maximum_khz: int
    capacity: int
    """Of 1024, as ``cpu_capacity`` has it."""


LITTLE = Cluster((0, 1, 2, 3), 300_000, 1_803_000, 280)
BIG = Cluster((4, 5, 6, 7), 500_000, 2_850_000, 1024)


@dataclasses.dataclass(frozen=True)
class PhoneSpec:
    """A phone as sold. ``abis`` in the order of its own preference."""

    serial: str = "FAKE0001"
    manufacturer: str = "Paper"
    model: str = "Pixel of paper"
    soc: str = "Paper P1"
    api: int = 34
    release: str = "14"
    abis: tuple[str, ...] = ("arm64-v8a", "armeabi-v7a")
    clusters: tuple[Cluster, ...] = (LITTLE, BIG)
    memory_kib: int = 7_900_000

    @property
    def cpus(self) -> tuple[int, ...]:
        return tuple(cpu for cluster in self.clusters for cpu in cluster.cpus)

    def properties(self) -> dict[str, str]:
        """Return what ``getprop`` knows. Phones before API 31 name no SoC."""
        soc = {"ro.soc.manufacturer": self.manufacturer, "ro.soc.model": self.soc}
        return {
            "ro.serialno": self.serial,
            "ro.product.manufacturer": self.manufacturer,
            "ro.product.brand": self.manufacturer,
            "ro.product.model": self.model,
            "ro.product.name": "paper",
            "ro.product.device": "paper",
            "ro.board.platform": "paper_p1",
            "ro.hardware": "paper",
            "ro.build.version.sdk": str(self.api),
            "ro.build.version.release": self.release,
            "ro.build.fingerprint": f"paper/paper/paper:{self.release}/P1/1:user/release-keys",
            "ro.build.type": "user",
            "ro.product.cpu.abi": self.abis[0],
            "ro.product.cpu.abilist": ",".join(self.abis),
            "sys.boot_completed": "1",
        } | (soc if self.api >= 31 else {})
