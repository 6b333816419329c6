"""Folders and files that calibration reads, made with Pillow, NumPy, and by hand."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from cnn_export.program.tensors import TensorSpec

COLOUR = TensorSpec("image", (1, 3, 9, 14), torch.float32)
GREY = TensorSpec("image", (1, 1, 9, 14), torch.float32)


def picture(seed: int, channels: int = 3, height: int = 11, width: int = 17) -> np.ndarray:
    """Random pixels (height, width, channels) uint8."""
    shape = (height, width, channels)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def fill(folder: Path, count: int, suffix: str = ".png", channels: int = 3) -> Path:
    """Write that many different images, ``000.png`` on."""
    folder.mkdir(exist_ok=True, parents=True)
    for index in range(count):
        image = Image.fromarray(picture(index, channels).squeeze())
        image.save(folder / f"{index:03}{suffix}")
    return folder


def encoded(image: Image.Image, form: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def deep_grey() -> bytes:
    """A grey PNG of 16 bits per pixel, built from the format's definition."""
    height, width = 4, 5
    rows = np.arange(height * width, dtype=">u2").reshape(height, width) * 3001
    packed = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    header = struct.pack(">IIBBBBB", width, height, 16, 0, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", packed), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + tag + body + struct.pack(">I", zlib.crc32(tag + body))
        for tag, body in parts
    )


def animated() -> bytes:
    frames = [Image.fromarray(picture(seed)) for seed in (1, 2, 3)]
    return encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])


def archive(path: Path, save: Callable[..., None] = np.savez, **arrays: np.ndarray) -> Path:
    save(path, **arrays)
    return path


def rows(count: int, seed: int = 0, shape: tuple[int, ...] = (3, 9, 14)) -> np.ndarray:
    """Standard normal samples (count, …) float32."""
    values = np.random.default_rng(seed).standard_normal((count, *shape))
    return values.astype(np.float32)


def claimed_archive(path: Path, shape: tuple[int, ...]) -> Path:
    """An archive whose array's header claims ``shape`` and holds eight bytes."""
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        buffer, {"descr": "<f4", "fortran_order": False, "shape": shape}
    )
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("image.npy", buffer.getvalue() + bytes(8))
    return path
