"""What vendors' packages work out anew in each conversion, though it is the same in a process.

A job pays for it once and hardly notices. Tests convert hundreds of small networks in one process,
where it is a third of every conversion and most of an ONNX one: here it is kept. What comes out is
the same object by object; ``test_determinism.py`` compares files with those of plain processes.
"""

from __future__ import annotations

import copy
import functools
import gc
import sys
import types

import torch._export.utils as decomposable
from torch.export import decomp_utils, exported_program
from torch.fx import traceback

MANY_MODULES = 300
"""So many new ones are a vendor's package."""
_seen_modules = 0


def ask_torch_once_a_collection() -> None:
    """Let torch walk the dispatcher's table once per collection, not once per namespace in it."""
    collect = decomposable._collect_all_valid_cia_ops
    materialize = decomposable._materialize_cpp_cia_ops

    @functools.wraps(collect)
    def collected() -> object:
        materialize()
        decomposable._materialize_cpp_cia_ops = lambda: None
        try:
            return collect()
        finally:
            decomposable._materialize_cpp_cia_ops = materialize

    for module in (decomposable, decomp_utils, exported_program):
        module._collect_all_valid_cia_ops = collected


def share_the_history_of_nodes() -> None:
    """Let a node made from another share the history of that one, instead of a copy at every pass.

    A history is only read; the copies were a tenth of each conversion.
    """
    sharing = types.SimpleNamespace(copy=copy.copy, deepcopy=list)
    traceback.copy = sharing


def keep_what_new_packages_brought() -> None:
    """After imports of packages: keep tables, and spare the collector all that stays.

    A full collection takes 0.6 s with every package loaded, and Core ML's converter asks for one.
    """
    global _seen_modules
    if len(sys.modules) < _seen_modules + MANY_MODULES:
        return
    _seen_modules = len(sys.modules)
    for name, module in list(sys.modules.items()):
        # It parses the source of five hundred functions.
        if name.startswith("onnxscript._framework_apis.torch_"):
            module.get_torchlib_ops = functools.cache(module.get_torchlib_ops)
    gc.collect()
    gc.freeze()
