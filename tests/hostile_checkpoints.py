"""Small files that made a reader wait for ever, or take gigabytes."""

from __future__ import annotations

import codecs
import datetime
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn


def _pickle_file(path: Path, pickle: bytes, records: dict[str, bytes] | None = None) -> Path:
    """Write a checkpoint of torch's form around any pickle."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/data.pkl", pickle)
        for name, content in {"byteorder": b"little", "version": b"3", **(records or {})}.items():
            archive.writestr(f"a/{name}", content)
    return path


def _text(value: str) -> bytes:
    raw = value.encode()
    return b"X" + len(raw).to_bytes(4, "little") + raw


def mapping_within_itself(path: Path) -> Path:
    weights: dict[str, Any] = {"w": torch.zeros(2)}
    weights["model"] = weights
    torch.save({"state_dict": weights, "extra": weights, "model": {"model": weights}}, path)
    return path


def list_within_itself(path: Path) -> Path:
    endless: list[Any] = [1]
    endless.append(endless)
    torch.save({"state_dict": {"w": torch.zeros(2)}, "args": endless, "mean": endless}, path)
    return path


def doubled_lists(path: Path) -> Path:
    """Forty lists, each of the one before twice: 2^40 values when they are printed."""
    value: Any = ["a"]
    for _ in range(40):
        value = [value, value]
    torch.save({"w": torch.zeros(2), "input_size": value, "arch": value}, path)
    return path


def repeated_objects(path: Path) -> Path:
    """A date a million times over, in two kilobytes."""
    value: Any = datetime.date(2020, 1, 1)
    for _ in range(3):
        value = [value] * 100
    torch.save({"w": torch.zeros(2), "args": value}, path)
    return path


def deep_lists(path: Path) -> Path:
    return _pickle_file(path, b"\x80\x02" + b"]" * 5000 + b"a" * 4999 + b".")


def repeated_number(path: Path) -> Path:
    """One number with strides of 0: seven gigabytes to look at."""
    torch.save({"w": torch.zeros(1).expand(1_750_000_000)}, path)
    return path


def many_repeated(path: Path) -> Path:
    """No tensor is large; all together are."""
    torch.save({str(n): torch.zeros(1).expand(1_000_000) for n in range(400)}, path)
    return path


def codec_chain(path: Path) -> Path:
    """Text that a codec unpacks, and the next one again."""
    bomb = codecs.encode(codecs.encode(bytes(10**8), "zlib"), "zlib")
    text = bomb.decode("latin-1")
    pickle = b"\x80\x02" + b"c_codecs\nencode\n" * 3 + _text(text) + _text("latin-1") + b"\x86R"
    pickle += (_text("zlib") + b"\x86R") * 2 + b"."
    return _pickle_file(path, pickle)


def memo_far_away(path: Path) -> Path:
    """A memo of two thousand million places."""
    return _pickle_file(path, b"\x80\x02}r\xff\xff\xff\x7f.")


def huge_counts(path: Path) -> Path:
    """A string of four gigabytes that is not there."""
    return _pickle_file(path, b"\x80\x02X\xff\xff\xff\xff.")


def long_number(path: Path) -> Path:
    digits = b"\x8b" + (200_000).to_bytes(4, "little") + b"\x7f" * 200_000
    return _pickle_file(path, b"\x80\x02}" + _text("input_size") + digits + b"s.")


def colliding_keys(path: Path) -> Path:
    """Numbers of one hash: every look into the mapping compares with all."""
    modulus = 2**61 - 1
    keys = b"".join(
        b"\x8a" + bytes([10]) + (7 + n * modulus).to_bytes(10, "little") + b"N"
        for n in range(60_000)
    )
    return _pickle_file(path, b"\x80\x02}(" + keys + b"u.")


CHECKPOINTS: dict[str, Callable[[Path], Path]] = {
    function.__name__: function
    for function in (
        *(mapping_within_itself, list_within_itself, doubled_lists, deep_lists),
        repeated_objects,
        *(repeated_number, many_repeated, codec_chain, memo_far_away, huge_counts),
        *(long_number, colliding_keys),
    )
}


def exported(path: Path) -> Path:
    """An exported program with a dynamic batch."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 3, stride=2), nn.BatchNorm2d(4), nn.ReLU()).eval()
    batch = ({0: torch.export.Dim("batch", min=1, max=64)},)
    program = torch.export.export(network, (torch.randn(2, 3, 9, 12),), dynamic_shapes=batch)
    torch.export.save(program, path)
    return path


def with_expression(source: Path, path: Path, expression: str) -> Path:
    """Copy an exported program with another expression for the size of its batch."""

    def edit(document: dict[str, Any]) -> None:
        values = document["graph_module"]["graph"]["tensor_values"]
        sizes = next(v["sizes"] for v in values.values() if "as_expr" in str(v["sizes"][:1]))
        sizes[0]["as_expr"]["expr_str"] = expression

    return edited(source, path, "models/model.json", edit)


def edited(source: Path, path: Path, ending: str, edit: Callable[[Any], None]) -> Path:
    """Copy an archive with one record of JSON changed."""

    def change(content: bytes) -> bytes:
        document = json.loads(content)
        edit(document)
        return json.dumps(document).encode()

    return replaced(source, path, ending, change)


def replaced(source: Path, path: Path, ending: str, change: Callable[[bytes], bytes]) -> Path:
    """Copy an archive, checksums made anew, with one record changed."""
    buffer, done = io.BytesIO(), 0
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(buffer, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name.endswith(ending):
                content, done = change(content), done + 1
            new.writestr(name, content)
    assert done == 1
    path.write_bytes(buffer.getvalue())
    return path


EXPRESSIONS = (
    *("9**9**9**9", "Pow(9, Pow(9, Pow(9, 9)))", "Pow(Integer(9), Integer(10)**10)", "s0**(10**9)"),
    *("Symbol('a'*10**9)", "Symbol('" + "a" * 5000 + "')", "Rational(1,3)**(10**9)", "1<<10**10"),
    *("9" * 4000, "Integer(" + "9" * 4000 + ")", "+".join(["s0"] * 5000), "(" * 500 + ")" * 500),
    *("Float('1', 10**9)", "Max(*range(10**9))", "s0*'a'", "Mod(10**400, 7)", "-" * 3000 + "1"),
)
