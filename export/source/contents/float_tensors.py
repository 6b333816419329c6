"""A checkpoint's tensors as finite float32."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from cnn_export.errors import CheckpointError

_SHOWN = 3


def usable(
    tensors: Mapping[str, torch.Tensor],
) -> tuple[dict[str, torch.Tensor], tuple[str, ...]]:
    """Return dense CPU tensors, floating ones as float32, and notes on conversions.

    float32 tensors stay what they are (memory-mapped, shared); nothing is copied needlessly.

    Raises:
        CheckpointError: a tensor is sparse, quantized, complex, without data, or holds NaN or
            infinity (also one that only overflows in float32); names the tensors.
    """
    require_values(tensors)
    converted = {name: _as_float32(tensor) for name, tensor in tensors.items()}
    _refuse({n: "NaN or infinity" for n, t in converted.items() if not _finite(t)}, "in")
    changed = {t.dtype for t in tensors.values() if _converts(t)}
    names = sorted(str(dtype).removeprefix("torch.") for dtype in changed)
    notes = (f"{' and '.join(names)} weights converted to float32",) if names else ()
    return converted, notes


def require_values(tensors: Mapping[str, torch.Tensor]) -> None:
    """Refuse tensors that are no dense real numbers.

    Raises:
        CheckpointError: one is sparse, quantized, complex or without data; names the tensors.
    """
    _refuse({name: _kind(tensor) for name, tensor in tensors.items()})


def _kind(tensor: torch.Tensor) -> str | None:
    if tensor.is_meta:
        return "no data (device meta)"
    if tensor.is_quantized:
        return "quantized values; export the float checkpoint"
    if tensor.layout is not torch.strided:
        return "sparse values; save them dense"
    return "complex values; a network of real numbers is needed" if tensor.is_complex() else None


def _refuse(reasons: Mapping[str, str | None], where: str = "in") -> None:
    bad = {name: reason for name, reason in reasons.items() if reason}
    if not bad:
        return
    names = list(bad)
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    raise CheckpointError(
        f"the checkpoint holds {bad[names[0]]} {where} {', '.join(names[:_SHOWN])}{more}"
    )


def _converts(tensor: torch.Tensor) -> bool:
    return tensor.is_floating_point() and tensor.dtype is not torch.float32


def _as_float32(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.detach().to(torch.float32) if _converts(tensor) else tensor.detach()


def _finite(tensor: torch.Tensor) -> bool:
    """Tell whether all values are finite; a finite sum, read in one pass, already says so."""
    if not tensor.is_floating_point() or bool(tensor.sum().isfinite()):
        return True
    return bool(torch.isfinite(tensor).all())
