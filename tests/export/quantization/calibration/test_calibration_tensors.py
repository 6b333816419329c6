"""An ``.npz`` file, and no file at all, as calibration data."""

from __future__ import annotations

import re
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from calibration_files import COLOUR, archive, claimed_archive, rows
from hypothesis import given, settings
from hypothesis import strategies as st

from cnn_export.errors import InputRefused
from cnn_export.program.normalization import parse_normalization
from cnn_export.program.tensors import TensorSpec
from cnn_export.quantization.calibration.reading import SYNTHETIC, read_calibration

TOKENS = TensorSpec("tokens", (-1, 5), torch.int64)
SAVERS = pytest.mark.parametrize("save", [np.savez, np.savez_compressed])


@SAVERS
@pytest.mark.parametrize("dtype", ["f4", "f8", ">f4", "f2"])
def test_rows_of_several_inputs(tmp_path: Path, save: Callable[..., None], dtype: str) -> None:
    image, tokens = rows(11).astype(dtype), np.arange(55).reshape(11, 5)
    path = archive(tmp_path / "a.npz", save, image=image, tokens=tokens, extra=np.zeros(3))
    data = read_calibration(path, [COLOUR, TOKENS], None, batch=4)
    for _ in range(2):
        batches = list(data.batches())
        assert [list(batch) for batch in batches] == [["image", "tokens"]] * 3
        assert [len(batch["tokens"]) for batch in batches] == [4, 4, 3]
        read = np.concatenate([batch["image"] for batch in batches])
        assert read.dtype == np.float32
        assert np.array_equal(read, image.astype(np.float32))
        assert np.array_equal(np.concatenate([b["tokens"] for b in batches]), tokens)
    (first, *_) = data.tensors()
    assert [tuple(each.shape) for each in first] == [(4, 3, 9, 14), (4, 5)]
    assert np.array_equal(first[0].numpy(), batches[0]["image"])
    record = data.record
    assert (record.kind, record.count, record.order) == ("tensors", 11, "as stored")
    assert data.names[10] == "sample 10"


def test_the_digest_is_of_the_values_not_of_the_file(tmp_path: Path) -> None:
    image = rows(9)
    paths = [
        archive(tmp_path / "a.npz", np.savez, image=image),
        archive(tmp_path / "b.npz", np.savez_compressed, image=image.astype(">f8")),
    ]
    first, second = (read_calibration(path, [COLOUR], None).record for path in paths)
    assert first == second
    turned = archive(tmp_path / "c.npz", np.savez, image=image[::-1].copy())
    assert read_calibration(turned, [COLOUR], None).record.sha256 != first.sha256


@SAVERS
def test_memory_does_not_grow_with_the_samples(tmp_path: Path, save: Callable[..., None]) -> None:
    """40 MB of samples, read in batches of 160 kB each, beside 1 MB that is kept."""
    shape = (3, 40, 84)
    spec = TensorSpec("image", (1, *shape), torch.float32)
    path = archive(tmp_path / "a.npz", save, image=rows(1000, shape=shape))
    tracemalloc.start()
    try:
        data = read_calibration(path, [spec], None, batch=4, kept_bytes=2**20)
        count = sum(len(batch["image"]) for _ in range(2) for batch in data.batches())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert count == 2000
    assert peak < 6 * 2**20


def test_what_fits_is_decoded_once(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.npz", np.savez, image=rows(9))
    data = read_calibration(path, [COLOUR], None)
    kept = [batch["image"].copy() for batch in data.batches()]
    archive(path, np.savez, image=rows(9, seed=1))
    assert all(np.array_equal(a, b["image"]) for a, b in zip(kept, data.batches(), strict=True))


BAD = rows(9)
NOT_A_NUMBER = np.where(np.arange(9).reshape(-1, 1, 1, 1) == 4, np.nan, BAD)


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"picture": BAD}, "no array named 'image'; it holds 'picture'"),
        ({"image": BAD[:, :2]}, r"shape \[9, 2, 9, 14\], but samples of \[3, 9, 14\] are due"),
        ({"image": BAD[..., 1:]}, r"but samples of \[3, 9, 14\]"),
        ({"image": BAD[:1][0]}, r"shape \[3, 9, 14\], but"),
        ({"image": np.ascontiguousarray(BAD.transpose(0, 2, 3, 1))}, "move the channels forward"),
        ({"image": np.asfortranarray(BAD)}, "stored by columns"),
        ({"image": BAD.astype("U4")}, "not real numbers"),
        ({"image": BAD * 1j}, "not real numbers"),
        ({"image": np.full(9, None)}, "not real numbers|Object"),
        ({"image": NOT_A_NUMBER}, r"1 of \d samples cannot be used.*sample 4: .*NaN"),
        ({"image": BAD * np.float64(1e300)}, "more than float32 can"),
        ({"image": np.ones_like(BAD)}, "all its values are equal"),
        ({"image": BAD[:1]}, "1 different sample; ranges need at least 8"),
        ({"image": BAD[:0]}, "0 different samples"),
        ({"image": np.float32(3)}, r"shape \[\]"),
    ],
)
def test_archives_that_are_refused(
    tmp_path: Path, arrays: dict[str, np.ndarray], said: str
) -> None:
    path = archive(tmp_path / "a.npz", np.savez, **arrays)
    with pytest.raises(InputRefused, match=said) as refused:
        read_calibration(path, [COLOUR], None)
    assert str(path) in str(refused.value)


def test_inputs_of_different_counts(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.npz", image=rows(9), tokens=np.zeros((8, 5), int))
    with pytest.raises(InputRefused, match="different numbers of samples: 'image' 9, 'tokens' 8"):
        read_calibration(path, [COLOUR, TOKENS], None)


@pytest.mark.parametrize("shape", [(10**12, 3, 9, 14), (9, 3, 9, 14)])
def test_an_array_that_claims_more_than_it_holds(tmp_path: Path, shape: tuple[int, ...]) -> None:
    with pytest.raises(InputRefused, match=r"holds 136 bytes where [\d,]+ are due"):
        read_calibration(claimed_archive(tmp_path / "a.npz", shape), [COLOUR], None)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("no", "does not exist"),
        ("a.npy", r"numpy.savez\(FILE, image=ARRAY\)"),
        ("b.npz", "not a zip"),
    ],
)
def test_files_that_are_no_archive(tmp_path: Path, name: str, said: str) -> None:
    np.save(tmp_path / "a.npy", BAD)
    (tmp_path / "b.npz").write_text("hello")
    with pytest.raises(InputRefused, match=said):
        read_calibration(tmp_path / name, [COLOUR], None)


@settings(max_examples=80, deadline=None)
@given(st.booleans(), st.data())
def test_damage_is_refused_or_changes_nothing(
    tmp_path_factory: pytest.TempPathFactory, packed: bool, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("damage")
    shape = (2, 3)
    spec = TensorSpec("v", (1, *shape), torch.float32)
    values = rows(12, shape=shape)
    path = archive(folder / "a.npz", np.savez_compressed if packed else np.savez, v=values)
    content = bytearray(path.read_bytes())
    at = data.draw(st.integers(0, len(content) - 1))
    content[at : at + 3] = data.draw(st.binary(min_size=0, max_size=3))
    path.write_bytes(bytes(content))
    try:
        read = read_calibration(path, [spec], None, batch=5)
    except InputRefused:
        return
    found = np.concatenate([batch["v"] for batch in read.batches()])
    assert found.shape[1:] == shape
    assert np.array_equal(found, values)


IMAGENET = parse_normalization("imagenet")


@pytest.mark.parametrize(
    ("values", "pixels", "said"),
    [
        (lambda u: 255 * u, False, "from .* to 25[45].*, outside the -2.118 to 2.64 of its"),
        (lambda u: u, False, "in a small part of"),
        (lambda u: 4.7 * u - 2.1, False, None),
        (lambda u: 255 * u, True, None),
        (lambda u: u, True, "in a small part of the 0 to 255"),
        (lambda u: 4.7 * u - 2.1, True, "outside|small part"),
    ],
)
def test_another_normalization_is_said(
    tmp_path: Path, values: Callable[[np.ndarray], np.ndarray], pixels: bool, said: str | None
) -> None:
    uniform = np.random.default_rng(3).random((9, 3, 9, 14))
    path = archive(tmp_path / "a.npz", image=values(uniform).astype(np.float32))
    notes = read_calibration(path, [COLOUR], IMAGENET, pixels=pixels).record.notes
    assert len(notes) == (said is not None)
    if said is not None:
        assert re.search(said, notes[0])


def test_synthetic_samples_are_marked_and_the_same_everywhere() -> None:
    specs = [COLOUR, TOKENS, TensorSpec("vector", (1, 7), torch.float32)]
    first, second = (read_calibration(SYNTHETIC, specs, None, batch=16) for _ in range(2))
    assert first.record == second.record
    assert first.record.synthetic
    assert "synthetic" in first.record.notes[0]
    (batch, *_) = first.batches()
    assert {name: value.shape for name, value in batch.items()} == {
        "image": (16, 3, 9, 14),
        "tokens": (16, 5),
        "vector": (16, 7),
    }
    assert batch["tokens"].dtype == np.int64
    assert first.record.sha256 == SYNTHETIC_DIGEST


SYNTHETIC_DIGEST = "da32cfad63c711c6a10b8bd6fbb2109cef8e411469e04509b795e91f66e5c709"


@pytest.mark.parametrize("pixels", [False, True])
def test_synthetic_images_cover_what_pixels_can_be(pixels: bool) -> None:
    data = read_calibration(SYNTHETIC, [COLOUR], IMAGENET, pixels=pixels)
    every = np.concatenate([batch["image"] for batch in data.batches()])
    low, high = (0, 255) if pixels else ((0 - 0.485) / 0.229, (1 - 0.406) / 0.225)
    assert every.min() == pytest.approx(low, abs=0.15 * (high - low) / 4)
    assert every.max() == pytest.approx(high, rel=0.02)
    # Means differ between images, as those of photographs do.
    assert every.mean((1, 2, 3)).std() > 0.05 * (high - low)
