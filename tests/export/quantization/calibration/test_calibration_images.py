"""A folder of images as calibration data: what is read, what is left out, what is refused."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from calibration_files import COLOUR, GREY, animated, deep_grey, encoded, fill, picture
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from cnn_export.errors import InputRefused, UsageError
from cnn_export.program.normalization import parse_normalization
from cnn_export.program.program import capture
from cnn_export.program.tensors import TensorSpec
from cnn_export.proof.samples import sample_probe
from cnn_export.quantization.calibration.data import CalibrationData
from cnn_export.quantization.calibration.reading import read_calibration

NORMALIZATION = parse_normalization("0.1,0.2,0.3/0.5,0.25,0.1")


def values(data: CalibrationData) -> np.ndarray:
    return np.concatenate([batch["image"] for batch in data.batches()])


@pytest.mark.parametrize("pixels", [False, True])
def test_images_are_read_as_the_parity_samples_are(tmp_path: Path, pixels: bool) -> None:
    fill(tmp_path / "b", 5)
    fill(tmp_path / "a" / "deep", 6, ".webp")
    program = capture(torch.nn.Conv2d(3, 2, 3), [torch.zeros(COLOUR.shape)])
    data = read_calibration(tmp_path, [COLOUR], NORMALIZATION, pixels=pixels, batch=4)
    paths = sorted(path for path in tmp_path.rglob("*") if path.is_file())
    assert data.names == tuple(path.relative_to(tmp_path).as_posix() for path in paths)
    probes = [sample_probe(path, program, NORMALIZATION, pixels=pixels) for path in paths]
    expected = np.concatenate([probe.inputs["input"] for probe in probes])
    assert [len(batch["image"]) for batch in data.batches()] == [4, 4, 3]
    assert np.array_equal(values(data), expected)
    assert np.array_equal(values(data), expected), "a second pass"


def test_the_record_follows_content_and_order(tmp_path: Path) -> None:
    first = read_calibration(fill(tmp_path / "a", 9), [COLOUR], None).record
    again = read_calibration(fill(tmp_path / "again", 9), [COLOUR], None, batch=4).record
    assert (first.kind, first.count, first.order, first.skipped) == ("images", 9, "by path", ())
    assert first.sha256 == again.sha256
    assert not first.synthetic
    (tmp_path / "again" / "000.png").rename(tmp_path / "again" / "zzz.png")
    assert read_calibration(tmp_path / "again", [COLOUR], None).record.sha256 != first.sha256
    other = picture(3)
    other[5, 5, 1] ^= 128
    Image.fromarray(other).save(tmp_path / "a" / "003.png")
    assert read_calibration(tmp_path / "a", [COLOUR], None).record.sha256 != first.sha256


def test_what_is_no_image_is_no_candidate(tmp_path: Path) -> None:
    fill(tmp_path, 8)
    for name in (".DS_Store", "labels.csv", "._000.png", "notes.txt"):
        (tmp_path / name).write_text("no image")
    (tmp_path / "loop").symlink_to(tmp_path, target_is_directory=True)
    fill(tmp_path / ".thumbnails", 3)
    data = read_calibration(tmp_path, [COLOUR], None)
    assert (len(data), data.record.skipped) == (8, ())


UNUSABLE: dict[str, tuple[Callable[[], bytes], str]] = {
    "cut.png": (lambda: encoded(Image.fromarray(picture(0)), "PNG")[:200], "truncated"),
    "words.jpg": (lambda: b"hello", "cannot identify"),
    "empty.png": (lambda: b"", "cannot identify"),
    "moving.gif": (animated, "3 frames"),
    "deep.png": (deep_grey, "more than 8 bits"),
    "deep.tif": (
        lambda: encoded(Image.fromarray(picture(0, 1)[..., 0] * np.uint16(257)), "TIFF"),
        "more than 8 bits",
    ),
    "black.bmp": (lambda: encoded(Image.new("RGB", (20, 20)), "BMP"), "all its values are equal"),
    "script.png": (lambda: encoded(Image.new("RGB", (9, 9)), "EPS"), "cannot identify"),
}


@pytest.mark.parametrize("name", UNUSABLE)
def test_one_unusable_image_of_a_hundred_is_left_out_and_named(tmp_path: Path, name: str) -> None:
    content, reason = UNUSABLE[name]
    fill(tmp_path, 99)
    (tmp_path / name).write_bytes(content())
    data = read_calibration(tmp_path, [COLOUR], None)
    assert len(data) == 99
    assert name not in data.names
    (skipped,) = data.record.skipped
    assert skipped.name == name
    assert reason in skipped.reason
    assert values(data).shape == (99, 3, 9, 14)
    (tmp_path / "098.png").unlink()  # 1 of 99 is more than 1 %
    with pytest.raises(InputRefused, match=f"1 of 99 samples cannot be used.*{name}.*{reason}"):
        read_calibration(tmp_path, [COLOUR], None)


def test_a_pipe_is_left_out_without_waiting(tmp_path: Path) -> None:
    fill(tmp_path, 99)
    os.mkfifo(tmp_path / "pipe.png")
    data = read_calibration(tmp_path, [COLOUR], None)
    assert [(each.name, each.reason) for each in data.record.skipped] == [
        ("pipe.png", "is a pipe, not a file; give a regular file")
    ]


def test_an_image_of_terabytes_is_not_decoded(tmp_path: Path) -> None:
    fill(tmp_path, 99)
    wide = bytearray(encoded(Image.new("1", (8, 8)), "PPM"))
    (tmp_path / "wide.ppm").write_bytes(bytes(wide).replace(b"8 8", b"1000000 1000000"))
    data = read_calibration(tmp_path, [COLOUR], None)
    assert "decompression bomb" in data.record.skipped[0].reason


def test_reading_stops_where_a_folder_is_broken_throughout(tmp_path: Path) -> None:
    for index in range(500):
        (tmp_path / f"{index:03}.jpg").write_text("no image")
    with pytest.raises(InputRefused, match=r"6 of 6 samples \(of 500; .* 000.jpg: .*and 1 more"):
        read_calibration(tmp_path, [COLOUR], None)


@pytest.mark.parametrize(
    ("count", "said"),
    [(0, "holds no file"), (1, "1 different sample; .*at least 8"), (7, "7 different samples")],
)
def test_too_few(tmp_path: Path, count: int, said: str) -> None:
    with pytest.raises(InputRefused, match=said):
        read_calibration(fill(tmp_path / "f", count), [COLOUR], None)


def test_copies_do_not_count(tmp_path: Path) -> None:
    fill(tmp_path, 4)
    for index in range(20):
        (tmp_path / f"copy{index}.png").write_bytes((tmp_path / "001.png").read_bytes())
    with pytest.raises(InputRefused, match=r"4 different samples \(24, but the rest repeat them"):
        read_calibration(tmp_path, [COLOUR], None)


def test_a_folder_without_images_says_what_it_holds(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(InputRefused, match="1 files and no image among them"):
        read_calibration(tmp_path, [COLOUR], None)


@pytest.mark.parametrize(("channels", "spec"), [(1, COLOUR), (3, GREY)])
def test_other_channels_are_converted_and_counted(
    tmp_path: Path, channels: int, spec: TensorSpec
) -> None:
    data = read_calibration(fill(tmp_path, 8, channels=channels), [spec], None)
    assert "8 of 8 images had another number of channels" in data.record.notes[0]
    read = values(data)
    assert read.shape == (8, *spec.shape[1:])
    if channels == 1:
        assert np.array_equal(read[:, 0], read[:, 1])
        assert np.array_equal(read[:, 0], read[:, 2])
    same = fill(tmp_path / "same", 8, channels=spec.shape[1])
    assert read_calibration(same, [spec], None).record.notes == ()


def test_networks_that_take_no_images(tmp_path: Path) -> None:
    fill(tmp_path, 8)
    vector = TensorSpec("features", (1, 7), torch.float32)
    with pytest.raises(InputRefused, match=r"'features' takes \[1, 7\].*npz"):
        read_calibration(tmp_path, [vector], None)
    with pytest.raises(InputRefused, match=r"takes 2 inputs; give an .npz.*'image', 'features'"):
        read_calibration(tmp_path, [COLOUR, vector], None)


def test_a_static_batch_is_always_whole(tmp_path: Path) -> None:
    fixed = TensorSpec("image", (4, 3, 9, 14), torch.float32)
    data = read_calibration(fill(tmp_path, 11), [fixed], None, batch=4)
    assert [len(batch["image"]) for batch in data.batches()] == [4, 4]
    assert (len(data.names), data.record.count) == (8, 8)
    with pytest.raises(UsageError, match="batches of 4"):
        read_calibration(tmp_path, [fixed], None, batch=3)


def test_a_file_that_changes_between_passes(tmp_path: Path) -> None:
    data = read_calibration(fill(tmp_path, 8), [COLOUR], None, kept_bytes=0)
    Image.fromarray(picture(99)).save(tmp_path / "004.png")
    with pytest.raises(InputRefused, match=r"004.png changed while it was used"):
        values(data)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_damage_is_left_out_or_read_and_never_raises_otherwise(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Bytes overwritten anywhere in an image of any format, one of a hundred."""
    folder = tmp_path_factory.mktemp("damage")
    form = data.draw(st.sampled_from(["PNG", "JPEG", "BMP", "TIFF", "WEBP", "GIF", "PPM"]))
    content = bytearray(encoded(Image.fromarray(picture(500)), form))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at : at + 4] = data.draw(st.binary(min_size=4, max_size=4))
    for index in range(100):
        (folder / f"{index:03}.png").write_bytes(SMALL[index])
    (folder / f"x.{form[:4].lower()}").write_bytes(bytes(content))
    read = read_calibration(folder, [COLOUR], None)
    assert len(read) + len(read.record.skipped) == 101
    assert values(read).shape == (len(read), 3, 9, 14)


SMALL = [encoded(Image.fromarray(picture(seed, 3, 3, 4)), "PNG") for seed in range(100)]
