"""Operators of the format that litert-torch spells by several others."""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from typing import Any

import torch

_PRELU: Any = torch.ops.aten._prelu_kernel
"""What ``prelu`` becomes: slopes of the input's rank, (1, C, 1, 1)."""


@contextlib.contextmanager
def native_prelu() -> Generator[None]:
    """Let the body's conversions write PRELU; afterwards litert-torch spells it as before.

    That is ``relu(x) − w·relu(−x)``: four operators, and behind a linear layer the negation goes
    into a second copy of its weights (two layers of 16 and 8: 1.77 of the parameters' bytes).
    """
    from litert_torch import fx_infra
    from litert_torch.backend.lowerings import registry

    tables: Any = fx_infra.decomp
    lowerings: Any = registry
    spelled = tables.pre_convert_decomp()[_PRELU.default]
    tables.remove_pre_lower_decomp(_PRELU)
    lowerings.lower(_PRELU)(_lower)
    try:
        yield
    finally:
        tables.add_pre_convert_decomp(_PRELU.default, spelled)


def _lower(context: Any, source: Any, slopes: Any) -> Any:
    """Return a call of the format's own operator; its slopes have no dimension of the batch.

    ``custom_call`` carries it by name to where the converter reads such operators.
    """
    from litert_converter.mlir import ir as mlir
    from litert_converter.mlir.dialects import stablehlo as dialect
    from litert_torch.backend.lowerings import utils

    ir: Any = mlir
    stablehlo: Any = dialect
    vendor: Any = utils
    kind = ir.RankedTensorType.get(slopes.type.shape[1:], slopes.type.element_type)
    return stablehlo.custom_call(
        result=vendor.node_meta_to_ir_types(context.node),
        inputs=[source, stablehlo.reshape(kind, slopes)],
        call_target_name=ir.StringAttr.get("tfl.prelu"),
        has_side_effect=ir.BoolAttr.get(False),
        backend_config=ir.StringAttr.get(str(ir.DictAttr.get({}))),
    )
