"""What single values of a manifest may be."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from cnn_export.proof.tolerances import EXACT_MAX

_SIZE_MAX = 2**31
_RANK_MAX = 8


def _checked_size(size: int) -> int:
    if size != -1 and not 1 <= size <= _SIZE_MAX:
        raise ValueError(f"a size is -1 or 1 to {_SIZE_MAX}, not {size}")
    return size


def _checked_name(name: str) -> str:
    if not name or name in (".", "..") or any(each in name for each in "/\0"):
        raise ValueError(f"a file's name without its folder, not {name!r}")
    return name


Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Shape = Annotated[list[Annotated[int, AfterValidator(_checked_size)]], Field(max_length=_RANK_MAX)]
FileName = Annotated[str, Field(max_length=1024), AfterValidator(_checked_name)]
Count = Annotated[int, Field(ge=0, le=EXACT_MAX)]
Magnitude = Annotated[float, Field(ge=0)]
DTypeName = Literal[
    "float32", "float16", "float64", "int8", "int16", "int32", "int64", "uint8", "bool"
]


class Record(BaseModel):
    """A part of a manifest: nothing beside its fields, no NaN, never changed."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
