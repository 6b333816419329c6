"""What a kind of devices tells of itself: how it is named, found and listed.

A new kind is a folder with a ``*_kind.py`` and one line in ``named_devices``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from cnn_export.benchmarks.devices.contract import Device

if TYPE_CHECKING:
    from cnn_export.benchmarks.devices.adb.app.launch import Launch
    from cnn_export.benchmarks.devices.adb.lifecycle.phone_lifecycle import PhonePolicy


@dataclasses.dataclass(frozen=True)
class DeviceOptions:
    """How to run on a device. All but ``patience_s`` is for phones.

    A worker may take ``patience_s`` besides measuring. ``app`` is the APK (``None``: the one that
    ``make app`` builds), ``launch`` how its runner is started; ``keep`` leaves the files that were
    pushed on the phone. ``policy`` is how the phone is treated (``None``: as by default); ``tell``
    gets the device's name and what is waited for.
    """

    patience_s: float = 300.0
    app: Path | None = None
    launch: Launch = "app_process"
    keep: bool = False
    policy: PhonePolicy | None = None
    tell: Callable[[str, str], None] = lambda _, __: None


class DeviceKind(Protocol):
    """A kind of devices: how ``--device`` names them, how ``cnn-bench devices`` lists them."""

    name: str
    """Of the kind, as results have it."""
    forms: tuple[str, ...]
    """How ``--device`` may name one."""

    def means(self, name: str) -> bool:
        """Whether ``--device NAME`` means a device of this kind."""
        ...

    def find(self, name: str, options: DeviceOptions) -> list[Device]:
        """Return what a name means for which :meth:`means` holds.

        Raises:
            UsageError: the name is wrong, or leaves a choice.
            DeviceUnfit: it is not there.
            TargetUnavailable: what it takes to reach it is missing.
        """
        ...

    def every(self, options: DeviceOptions) -> list[Device]:
        """Return those that ``all`` means.

        Raises:
            DeviceUnfit, TargetUnavailable: as :meth:`find`.
        """
        ...

    def listed(self) -> tuple[list[dict[str, Any]], str]:
        """Return the JSON of each, with ``id`` and ``kind``, and why there is none."""
        ...

    def rows(self, listed: dict[str, Any]) -> Iterator[str]:
        """Yield one of them in words."""
        ...
