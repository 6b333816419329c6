"""What a runtime is: it loads an artifact, and runs it once at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar, Protocol

if TYPE_CHECKING:
    from cnn_export.benchmarks.runtimes.probe import Array

NO_ARGUMENTS: Mapping[str, str] = MappingProxyType({})
SWITCH = ("on", "off")
"""The values of an argument that switches something."""


class Model(Protocol):
    """An artifact in its runtime with its inputs in place."""

    def infer(self) -> None:
        """Run once: what is timed. Results stay where the runtime puts them."""
        ...

    def outputs(self) -> dict[str, Array]:
        """Return the results of the last :meth:`infer` by name."""
        ...


class Runtime(Protocol):
    """One runtime, fixed to a number of threads."""

    package: ClassVar[str]
    """The distribution that holds it, which is also its name."""
    needs: ClassVar[Sequence[str]]
    """All that the extra ``run-TARGET`` brings to load its files and to read their cost."""
    target: ClassVar[str]
    """The target whose artifacts it measures, as manifests name it."""
    suffix: ClassVar[str]
    """Of the files it loads."""
    arguments: ClassVar[Mapping[str, Sequence[str]]]
    """What ``--runtime-arg K=V`` may say to it: key → values."""

    def import_package(self) -> None:
        """Import what :meth:`load` needs, so that the time of a load is the artifact's own."""
        ...

    def load(
        self,
        path: Path,
        inputs: dict[str, Array],
        output_names: Sequence[str],
        threads: int,
        arguments: Mapping[str, str] = NO_ARGUMENTS,
    ) -> Model:
        """Load ``path`` and place ``inputs``, given in the artifact's order.

        ``arguments`` are those of :mod:`cnn_export.benchmarks.runtimes.runtime_arguments`, checked.
        """
        ...
