"""Samples: a user's own images and arrays join the proof, or are refused in one line."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from command_checks import REFUSED, SMALL, refusal
from numpy.lib import format as npy
from PIL import Image
from torch import nn

from cnn_export.__main__ import main
from cnn_export.errors import InputRefused
from cnn_export.program.normalization import parse_normalization
from cnn_export.program.program import Program, capture
from cnn_export.program.tensors import TensorSpec
from cnn_export.proof.samples import sample_probe

PICTURE = np.random.default_rng(0).integers(0, 256, (26, 36, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def program() -> Program:
    return capture(nn.Conv2d(3, 4, 3), [torch.zeros(1, 3, 13, 18)])


def image_program(channels: int, *, dynamic_batch: bool = False) -> Program:
    example = [torch.zeros(1, channels, 13, 18)]
    return capture(nn.Conv2d(channels, 2, 3), example, dynamic_batch=dynamic_batch)


def test_an_image_sample_is_scaled_and_normalized(tmp_path: Path, program: Program) -> None:
    flat = np.full((26, 36, 3), (51, 102, 255), dtype=np.uint8)
    Image.fromarray(flat).save(tmp_path / "flat.png")
    plain = sample_probe(tmp_path / "flat.png", program, None)
    assert plain.name == "flat.png"
    value = plain.inputs["input"]
    assert value.shape == (1, 3, 13, 18)
    assert value.dtype == np.float32
    np.testing.assert_allclose(value[0, :, 4, 9], [0.2, 0.4, 1.0], rtol=1e-6)
    statistics = parse_normalization("0.1,0.2,0.3/0.5,0.25,0.1")
    normalized = sample_probe(tmp_path / "flat.png", program, statistics)
    np.testing.assert_allclose(normalized.inputs["input"][0, :, 4, 9], [0.2, 0.8, 7.0], rtol=1e-6)


def test_an_image_sample_keeps_its_orientation(tmp_path: Path, program: Program) -> None:
    picture = np.zeros((13, 18, 3), dtype=np.uint8)
    picture[2, 15] = (255, 0, 51)
    Image.fromarray(picture).save(tmp_path / "dot.png")
    value = sample_probe(tmp_path / "dot.png", program, None).inputs["input"]
    expected = np.zeros((1, 3, 13, 18))
    expected[0, :, 2, 15] = [1.0, 0.0, 0.2]
    np.testing.assert_allclose(value, expected, rtol=1e-6)


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "CMYK"])
def test_an_image_of_another_kind_is_converted(mode: str, tmp_path: Path, program: Program) -> None:
    path = tmp_path / "picture.tiff"
    Image.fromarray(PICTURE).convert(mode).save(path)
    assert sample_probe(path, program, None).inputs["input"].shape == (1, 3, 13, 18)
    grey = sample_probe(path, image_program(1), None).inputs["input"]
    assert grey.shape == (1, 1, 13, 18)


@pytest.mark.parametrize("dtype", ["f4", "f8", "f2", "i8", "u1", "?", ">f4"])
def test_array_samples_of_any_real_dtype(dtype: str, tmp_path: Path, program: Program) -> None:
    given = (PICTURE[:13, :18].transpose(2, 0, 1)[None] > 99).astype(dtype)
    np.save(tmp_path / "a.npy", given)
    np.savez_compressed(tmp_path / "a.NPZ", other=np.zeros(2), input=given)
    (tmp_path / "a.NPZ.npz").rename(tmp_path / "a.NPZ")
    for name in ("a.npy", "a.NPZ"):
        value = sample_probe(tmp_path / name, program, None).inputs["input"]
        assert value.dtype == np.float32
        assert value.flags.c_contiguous
        assert np.array_equal(value, given)


def test_images_that_a_conversion_would_change_silently(tmp_path: Path, program: Program) -> None:
    """Pillow clips 16 bits of grey to white, and takes the first of several frames."""
    Image.fromarray(PICTURE[..., 0] * np.uint16(257)).save(tmp_path / "deep.png")
    with pytest.raises(InputRefused, match=r"deep.png: its grey values have more than 8 bits"):
        sample_probe(tmp_path / "deep.png", program, None)
    frames = [Image.fromarray(np.roll(PICTURE, shift, axis=0)) for shift in (0, 5)]
    frames[0].save(tmp_path / "moving.gif", save_all=True, append_images=frames[1:])
    with pytest.raises(InputRefused, match=r"moving.gif: it holds 2 frames"):
        sample_probe(tmp_path / "moving.gif", program, None)


def test_samples_of_any_batch_where_it_is_dynamic(tmp_path: Path) -> None:
    np.save(tmp_path / "five.npy", np.zeros((5, 3, 13, 18)))
    dynamic = image_program(3, dynamic_batch=True)
    probe = sample_probe(tmp_path / "five.npy", dynamic, None)
    assert probe.inputs["input"].shape == (5, 3, 13, 18)


def _npy(array: np.ndarray, *, pickled: bool = False) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=pickled)
    return buffer.getvalue()


def _npz(**arrays: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=True, **arrays)
    return buffer.getvalue()


def _png() -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(PICTURE).save(buffer, "png")
    return buffer.getvalue()


def _bomb() -> bytes:
    """A header that claims four terabytes."""
    buffer = io.BytesIO()
    header = {"descr": "<f4", "fortran_order": False, "shape": (10**12,)}
    npy.write_array_header_1_0(buffer, header)
    return buffer.getvalue()


def _damaged(content: bytes, position: int) -> bytes:
    return (
        content[:position]
        + bytes(b ^ 0xFF for b in content[position:][:8])
        + content[position + 8 :]
    )


FITTING = np.random.default_rng(1).standard_normal((1, 3, 13, 18))
OBJECTS = np.array([{"a": 1}], dtype=object)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("none.png", lambda: None, "does not exist"),
        ("short.png", lambda: _png()[:300], "truncated"),
        ("bad.png", lambda: _damaged(_png(), 30), "cannot identify"),
        ("words.jpg", lambda: b"hello", "cannot identify"),
        ("empty.png", lambda: b"", "cannot identify"),
        ("empty.npy", lambda: b"", "EOF"),
        ("words.npy", lambda: b"hello there", "magic string"),
        ("short.npy", lambda: _npy(FITTING)[:500], "only read"),
        ("bomb.npy", _bomb, "TiB"),
        ("objects.npy", lambda: _npy(OBJECTS, pickled=True), "Object arrays"),
        ("other.npy", lambda: _npy(FITTING[..., 1:]), "takes [1, 3, 13, 18]"),
        ("rank.npy", lambda: _npy(FITTING[0]), "shape [3, 13, 18]"),
        ("nan.npy", lambda: _npy(np.full_like(FITTING, np.nan)), "NaN"),
        ("huge.npy", lambda: _npy(np.full_like(FITTING, 1e300)), "more than float32"),
        ("text.npy", lambda: _npy(FITTING.astype("U4")), "not real numbers"),
        ("complex.npy", lambda: _npy(FITTING * 1j), "not real numbers"),
        ("empty.npz", lambda: b"", "not a zip"),
        ("words.npz", lambda: b"hello", "not a zip"),
        ("short.npz", lambda: _npz(image=FITTING)[:900], "not a zip"),
        ("bad.npz", lambda: _damaged(_npz(image=FITTING), 400), "decompressing|CRC"),
        ("objects.npz", lambda: _npz(image=OBJECTS), "Object arrays"),
        ("named.npz", lambda: _npz(picture=FITTING), "no array named 'image'"),
        ("other.npz", lambda: _npz(image=FITTING[:, :2]), "takes [1, 3, 13, 18]"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_samples_that_are_refused(
    name: str,
    content: Callable[[], bytes | None],
    said: str,
    small_checkpoint: Path,
    tmp_path: Path,
    out: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    path, written = tmp_path / name, content()
    if written is not None:
        path.write_bytes(written)
    arguments = ["-t", "onnx", *SMALL, "-o", out, "--sample", path]
    message = refusal(capfd, REFUSED, small_checkpoint, *arguments)
    assert any(part in message for part in said.split("|")), message
    assert str(path) in message
    assert list(out.iterdir()) == []


def test_an_image_for_an_input_that_is_none(
    tmp_path: Path, small_checkpoint: Path, out: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.png").write_bytes(_png())
    checkpoint = tmp_path / "linear.pt"
    torch.save(nn.Linear(4, 3).state_dict(), checkpoint)
    model = ["--model", "torch.nn:Linear", "--input", "input=2x4"]
    model += ["--model-arg", "in_features=4", "--model-arg", "out_features=3"]
    arguments = ["-t", "onnx", *model, "-o", out, "--sample", tmp_path / "a.png"]
    assert "give a .npy or .npz" in refusal(capfd, REFUSED, checkpoint, *arguments)


def test_integer_inputs_take_no_fractions(tmp_path: Path) -> None:
    tokens = Program(
        graph_module=torch.fx.GraphModule({}, torch.fx.Graph()),
        inputs=(TensorSpec("tokens", (1, 3), torch.int64),),
        outputs=(),
        example_inputs=(),
        dynamic_batch=False,
    )
    np.save(tmp_path / "whole.npy", np.array([[1.0, 2.0, 4.0]]))
    value = sample_probe(tmp_path / "whole.npy", tokens, None).inputs["tokens"]
    assert (value.dtype, value.tolist()) == (np.int64, [[1, 2, 4]])
    np.save(tmp_path / "part.npy", np.array([[1.0, 2.5, 4.0]]))
    with pytest.raises(InputRefused, match="cannot take"):
        sample_probe(tmp_path / "part.npy", tokens, None)


@pytest.mark.parametrize("kind", ["png", "npy", "npz"])
def test_a_fitting_sample_joins_the_proof(
    kind: str, small_checkpoint: Path, tmp_path: Path, out: Path
) -> None:
    path = tmp_path / f"mine.{kind}"
    content = {"png": _png(), "npy": _npy(FITTING), "npz": _npz(image=FITTING)}
    path.write_bytes(content[kind])
    arguments = ["-t", "onnx", *SMALL, "-o", str(out), "--quiet", "--sample", str(path)]
    assert main([str(small_checkpoint), *arguments]) == 0
    manifest = json.loads((out / "small.onnx.manifest.json").read_text())
    probes = {figure["probe"] for figure in manifest["parity"]["figures"]}
    assert f"mine.{kind}" in probes


@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
@pytest.mark.parametrize("suffix", [".png", ".npy", ".npz"])
def test_only_regular_files(kind: str, suffix: str, tmp_path: Path, program: Program) -> None:
    path = tmp_path / f"a{suffix}"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to("/dev/zero")
    with pytest.raises(InputRefused, match=f"is a {kind}, not a file"):
        sample_probe(path, program, None)


def test_an_array_larger_than_any_that_fits_is_not_unpacked(
    tmp_path: Path, program: Program
) -> None:
    """Ten megabytes of zeros, ten kilobytes on disk."""
    np.savez_compressed(tmp_path / "a.npz", input=np.zeros(10_000_000, dtype=np.uint8))
    assert (tmp_path / "a.npz").stat().st_size < 20_000
    with pytest.raises(InputRefused, match="more than its 702 numbers"):
        sample_probe(tmp_path / "a.npz", program, None)
    np.save(tmp_path / "a.npy", np.zeros(10_000_000, dtype=np.uint8))
    with pytest.raises(InputRefused, match="more than its 702 numbers"):
        sample_probe(tmp_path / "a.npy", program, None)


def test_images_that_would_start_a_program(tmp_path: Path, program: Program) -> None:
    """Pillow hands PostScript to Ghostscript."""
    Image.fromarray(PICTURE).save(tmp_path / "a.eps")
    with pytest.raises(InputRefused, match="cannot identify"):
        sample_probe(tmp_path / "a.eps", program, None)
