"""The element types of tensors by torch's names, and how the formats spell them."""

from __future__ import annotations

SIZES = {
    **dict.fromkeys(("bool", "uint8", "int8", "float8_e4m3fn", "float8_e5m2"), 1),
    **dict.fromkeys(("float8_e4m3fnuz", "float8_e5m2fnuz", "float8_e8m0fnu"), 1),
    "float4_e2m1fn_x2": 1,
    **dict.fromkeys(("int16", "uint16", "float16", "bfloat16"), 2),
    **dict.fromkeys(("int32", "uint32", "float32", "complex32"), 4),
    **dict.fromkeys(("int64", "uint64", "float64", "complex64"), 8),
    "complex128": 16,
    # Packed types count bytes, whatever is packed in one.
    **dict.fromkeys(("quint8", "qint8", "quint4x2", "quint2x4"), 1),
    "qint32": 4,
    **dict.fromkeys(("bits8", "bits1x8", "bits2x4", "bits4x2"), 1),
    "bits16": 2,
}
"""Bytes of one element."""

QUANTIZED = frozenset(("quint8", "qint8", "quint4x2", "quint2x4", "qint32"))

NAMED_ONLY = tuple(f"{kind}{bits}" for kind in ("int", "uint") for bits in range(1, 8))
"""Types that torch can name but has no storage of."""

STORAGES = {
    **{"DoubleStorage": "float64", "FloatStorage": "float32", "HalfStorage": "float16"},
    **{"BFloat16Storage": "bfloat16", "LongStorage": "int64", "IntStorage": "int32"},
    **{"ShortStorage": "int16", "CharStorage": "int8", "ByteStorage": "uint8"},
    **{"BoolStorage": "bool", "ComplexDoubleStorage": "complex128"},
    **{"ComplexFloatStorage": "complex64", "QUInt8Storage": "quint8", "QInt8Storage": "qint8"},
    **{"QInt32Storage": "qint32", "QUInt4x2Storage": "quint4x2", "QUInt2x4Storage": "quint2x4"},
    "UntypedStorage": "uint8",
}
"""Element type by the name of torch's storage class."""

SAFETENSORS = {
    **{"BOOL": "bool", "U8": "uint8", "I8": "int8", "I16": "int16", "U16": "uint16"},
    **{"I32": "int32", "U32": "uint32", "I64": "int64", "U64": "uint64", "F16": "float16"},
    **{"BF16": "bfloat16", "F32": "float32", "F64": "float64", "C64": "complex64"},
    **{"F8_E4M3": "float8_e4m3fn", "F8_E5M2": "float8_e5m2", "F8_E8M0": "float8_e8m0fnu"},
}
"""Element type by the name in a safetensors header."""

EXPORTED = {
    **dict(enumerate(("uint8", "int8", "int16", "int32", "int64", "float16", "float32"), 1)),
    **{8: "float64", 9: "complex32", 10: "complex64", 11: "complex128", 12: "bool"},
    **{13: "bfloat16", 28: "uint16", 29: "float8_e4m3fn", 30: "float8_e5m2"},
    **{31: "float8_e4m3fnuz", 32: "float8_e5m2fnuz", 33: "float8_e8m0fnu"},
    **{34: "uint32", 35: "uint64"},
}
"""Element type by the number in an exported program."""
