"""ExecuTorch: ``.pte`` files in its wheel's runtime. It alone brings torch along."""

from __future__ import annotations

import contextlib
import importlib
import sys
import types
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from cnn_export.benchmarks.runtimes.contract import NO_ARGUMENTS, Model
from cnn_export.command_line.packages import package_folder

if TYPE_CHECKING:
    from cnn_export.benchmarks.runtimes.probe import Array

_COMPILER = "executorch.exir"


class ExecuTorch:
    """``.pte`` in the wheel's runtime with XNNPACK. Times ``execute``."""

    package: ClassVar[str] = "executorch"
    needs: ClassVar[Sequence[str]] = ("executorch", "torch")
    target: ClassVar[str] = "executorch"
    suffix: ClassVar[str] = ".pte"
    arguments: ClassVar[Mapping[str, Sequence[str]]] = {}

    def import_package(self) -> None:
        """Import the vendor's modules."""
        importlib.import_module("torch")
        with _compiler_unloaded():
            importlib.import_module("executorch.runtime")

    def load(
        self,
        path: Path,
        inputs: dict[str, Array],
        output_names: Sequence[str],
        threads: int,
        arguments: Mapping[str, str] = NO_ARGUMENTS,
    ) -> Model:
        """Load the method ``forward``; the format has no names, so the manifest's are used."""
        del arguments  # it has none that matter to a time
        import torch
        from executorch.extension.pybindings import portable_lib
        from executorch.runtime import Runtime as Vendor

        library: Any = portable_lib
        library._unsafe_reset_threadpool(threads)
        torch.set_num_threads(threads)
        program: Any = Vendor.get().load_program(path.read_bytes())
        tensors = [torch.from_numpy(value) for value in inputs.values()]
        return _ExecuTorchModel(program, tensors, output_names)


@contextlib.contextmanager
def _compiler_unloaded() -> Generator[None]:
    """Let the runtime find the compiler's modules without running the package's ``__init__``.

    ``portable_lib`` takes the class of a warning from there. The ``__init__`` would bring the whole
    compiler, torchao and torch.compile into the process that measures: three quarters of its start
    and most of its memory. Afterwards the package is as if it had never been asked for.
    """
    if _COMPILER in sys.modules:
        yield
        return
    bare = types.ModuleType(_COMPILER)
    bare.__path__ = [str(package_folder("executorch") / "exir")]
    sys.modules[_COMPILER] = bare
    try:
        yield
    finally:
        for name in [each for each in sys.modules if f"{each}.".startswith(f"{_COMPILER}.")]:
            del sys.modules[name]


class _ExecuTorchModel:
    def __init__(self, program: Any, tensors: list[Any], names: Sequence[str]) -> None:
        self._program = program  # owns the memory that the method works in
        self._method = program.load_method("forward")
        self._tensors = tensors
        self._names = names
        self._results: Sequence[Any] = ()

    def infer(self) -> None:
        self._results = self._method.execute(self._tensors)

    def outputs(self) -> dict[str, Array]:
        arrays = [value.numpy().copy() for value in self._results]
        names = self._names if len(self._names) == len(arrays) else map(str, range(len(arrays)))
        return dict(zip(names, arrays, strict=True))


RUNTIME = ExecuTorch
