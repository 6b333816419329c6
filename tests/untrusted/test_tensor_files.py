"""Checkpoints read without torch hold what torch reads: values, types, sharing; or are refused."""

from __future__ import annotations

import argparse
import collections
import datetime
import io
import pathlib
import pickle
import subprocess
import sys
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import nn
from torch._export.serde.serialize import deserialize_scalar_type
from torch.export.pt2_archive import constants

from cnn_export.errors import CheckpointError
from cnn_export.source.files.described import built, class_name
from cnn_export.source.files.formats import sniff
from cnn_export.source.files.reading import describe
from cnn_export.untrusted.snapshot import taken
from cnn_export.untrusted.tensor_files import element_types
from cnn_export.untrusted.tensor_files.pickles.names import KNOWN
from cnn_export.untrusted.tensor_files.programs import exported_program

GENERATOR = torch.Generator().manual_seed(5)


def read(path: Path) -> Any:
    with taken(path) as snapshot:
        description = describe(snapshot, sniff(snapshot))
        assert "unsafe" not in description, description
        return built(description, snapshot)


def refusal(path: Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path} ")
    return str(caught.value)


def _noise(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=GENERATOR)


def _bytes(dtype: torch.dtype) -> torch.Tensor:
    raw = torch.randint(0, 2, (48,), dtype=torch.uint8, generator=GENERATOR)
    return raw.view(dtype).clone()


BASE = _noise(7, 5, 3)
SAVED: dict[str, Callable[[], Any]] = {
    **{
        str(dtype): lambda dtype=dtype: {"w": _bytes(dtype)}
        for dtype in (
            *(torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64),
            *(torch.uint16, torch.uint32, torch.uint64, torch.float16, torch.bfloat16),
            *(torch.float32, torch.float64, torch.complex64, torch.complex128),
            *(torch.float8_e4m3fn, torch.float8_e5m2),
        )
    },
    "views": lambda: {
        "all": BASE,
        "part": BASE[2:5, 1:],
        "turned": BASE.permute(2, 0, 1),
        "every second": BASE[::2, ::2],
        "repeated": BASE[:1].expand(6, 5, 3),
        "none": BASE[:0],
        "one": BASE[3, 2, 1],
        "flat": BASE.as_strided((4, 2), (3, 7), 5),
    },
    "parameters": lambda: dict(nn.Conv2d(3, 4, 3).named_parameters()),
    "negated": lambda: {"w": torch.view_as_complex(_noise(3, 2)).conj().imag},
    "tied": lambda: dict.fromkeys(("a", "b"), BASE),
    "ordered": lambda: nn.BatchNorm2d(3).state_dict(),
    "beside": lambda: {
        "args": argparse.Namespace(lr=0.1, sizes=[1, 2], nested=argparse.Namespace(a=None)),
        "text": "größer \ud800",
        "numbers": [0, -1, 2**62, -(2**80), 0.1, 1e300, float("inf"), True, None],
        1: (1, (2, [3])),
        "counter": collections.Counter("aab"),
        "size": torch.Size([2, 3]),
        ("tuple", 1): {},
    },
}


def assert_same(ours: Any, theirs: Any) -> None:
    if isinstance(theirs, torch.Tensor):
        assert (ours.dtype, ours.shape) == (theirs.dtype, theirs.shape)
        assert ours.stride() == theirs.stride() or theirs.is_neg()
        one, other = (t.detach().resolve_neg().contiguous().view(-1) for t in (ours, theirs))
        if one.numel():
            assert torch.equal(one.view(torch.uint8), other.view(torch.uint8))
    elif isinstance(theirs, dict):
        assert list(ours) == list(theirs)
        for key in theirs:
            assert_same(ours[key], theirs[key])
    elif isinstance(theirs, argparse.Namespace):
        assert_same(vars(ours), vars(theirs))
    elif isinstance(theirs, list | tuple):
        assert len(ours) == len(theirs)
        for one, other in zip(ours, theirs, strict=True):
            assert_same(one, other)
    else:
        assert ours == theirs


def _by_torch(path: Path) -> Any:
    with warnings.catch_warnings(), torch.serialization.safe_globals([argparse.Namespace]):
        warnings.simplefilter("ignore")
        return torch.load(path, weights_only=True, map_location="cpu")


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
@pytest.mark.parametrize("kind", SAVED)
def test_as_torch_reads_it(kind: str, legacy: bool, tmp_path: Path) -> None:
    path = tmp_path / "net.pt"
    saved = SAVED[kind]()
    torch.save(saved, path, _use_new_zipfile_serialization=not legacy)
    try:
        truth = _by_torch(path)
    except AttributeError:  # torch writes its newer types into legacy files, and cannot read them
        assert legacy
        truth = saved
    assert_same(read(path), truth)


def test_tensors_that_share_memory_still_do(tmp_path: Path) -> None:
    torch.save(SAVED["views"](), tmp_path / "net.pt")
    found = read(tmp_path / "net.pt")
    found["all"][2, 1, 0] = 9
    assert found["part"][0, 0, 0] == 9
    torch.save(SAVED["tied"](), tmp_path / "net.pt")
    found = read(tmp_path / "net.pt")
    assert found["a"] is found["b"]


def test_big_endian(tmp_path: Path) -> None:
    path, values = tmp_path / "net.pt", _noise(5, 3)
    torch.save(
        {"w": values, "h": values.half(), "b": torch.tensor([1, 2], dtype=torch.uint8)}, path
    )
    swapped = tmp_path / "swapped.pt"
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(swapped, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name.endswith("byteorder"):
                content = b"big"
            elif name.endswith("data/0"):
                content = np.frombuffer(content, np.uint32).byteswap().tobytes()
            elif name.endswith("data/1"):
                content = np.frombuffer(content, np.uint16).byteswap().tobytes()
            new.writestr(name, content)
    assert_same(read(swapped), _by_torch(path))


def test_every_pickle_protocol(tmp_path: Path) -> None:
    """Torch's own reader knows protocol 2 only."""
    path = tmp_path / "net.pt"
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        torch.save({"w": BASE, "many": list(range(300))}, path, pickle_protocol=protocol)
        assert_same(read(path), {"w": BASE, "many": list(range(300))})


def test_safetensors(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    state = {str(d): _bytes(d) for d in (torch.float32, torch.bfloat16, torch.int64, torch.bool)}
    state |= {"none": torch.zeros(0, 3), "one": torch.tensor(1.5), "shape": BASE}
    safetensors.torch.save_file(state, path, {"odd": "{", "list": "[1, 2]"})
    found = read(path)
    assert found.pop("__metadata__") == {"odd": "{", "list": [1, 2]}
    assert found.keys() == state.keys()
    for name, tensor in safetensors.torch.load_file(path).items():
        assert_same(found[name], tensor)
        assert found[name].data_ptr() % 64 == 0 or not tensor.numel()


def test_objects_of_training_scripts_are_names(tmp_path: Path) -> None:
    path = tmp_path / "net.pt"
    beside = {
        "scalar": np.float64(0.5),
        "array": np.arange(3.0),
        "where": pathlib.Path("a"),
        "when": datetime.datetime(2021, 8, 1),
        "raw": b"bytes",
        "set": {1, 2},
        "complex": 1j,
        "dtype": torch.float16,
        "device": torch.device("cpu"),
    }
    torch.save(beside, path)
    found = read(path)
    assert {key: repr(value) for key, value in found.items()} == {
        **dict.fromkeys(("scalar",), "<scalar>"),
        **dict.fromkeys(("array",), "<_reconstruct>"),
        "where": "<PosixPath>",
        "when": "<datetime>",
        "raw": "<encode>",
        "set": "<set>",
        "complex": "<complex>",
        "dtype": "<torch.float16>",
        "device": "<device>",
    }


def _edited(path: Path, change: Callable[[dict[str, bytes]], None]) -> Path:
    """Rewrite a zip with its records changed; checksums are made anew."""
    with zipfile.ZipFile(path) as old:
        records = {name: old.read(name) for name in old.namelist()}
    change(records)
    with zipfile.ZipFile(path, "w") as new:
        for name, content in records.items():
            new.writestr(name, content)
    return path


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda r: r.pop("net/data/0"), "the storage 0 is not in the file"),
        (lambda r: r.update({"net/data/0": b""}), "has 0 bytes in the file, and should have 420"),
        (lambda r: r.update({"net/data/0": bytes(416)}), "has 416 bytes"),
        (lambda r: r.update({"net/data/0": bytes(840)}), "has 840 bytes"),
        (lambda r: r.update({"net/byteorder": b"middle"}), "byte order"),
        (lambda r: r.update({"net/data.pkl": r["net/data.pkl"][:-5]}), "EOFError"),
    ],
)
def test_zip_storages_are_covered(change: Any, said: str, tmp_path: Path) -> None:
    path = tmp_path / "net.pt"
    torch.save({"w": BASE}, path)
    assert said in refusal(_edited(path, change))


def _legacy_parts(path: Path) -> tuple[bytes, list[str], bytes]:
    """Return a legacy file's pickles, its list of storage keys, and what follows."""
    content = io.BytesIO(path.read_bytes())
    for _ in range(3):
        pickle.load(content)  # noqa: S301 - written by this test

    class Skipping(pickle.Unpickler):
        def persistent_load(self, pid: Any) -> Any:
            return torch.storage.TypedStorage(
                wrap_storage=torch.UntypedStorage(500), dtype=torch.float32
            )

    Skipping(content).load()
    start = content.tell()
    keys = pickle.load(content)  # noqa: S301 - written by this test
    return content.getvalue()[:start], keys, content.read()


@pytest.mark.parametrize(
    ("keys", "rest", "said"),
    [
        (lambda k: k[:1], lambda r: r[: 8 + 420], "is not in the file"),
        (lambda k: [], lambda r: b"", "is not in the file"),
        (lambda k: [*k, k[0]], lambda r: r + r[: 8 + 420], "two storages of one name"),
        (lambda k: [*k, "7"], lambda r: r + r[: 8 + 420], "that nothing uses"),
        (lambda k: k, lambda r: r + b"x", "1 bytes follow the last storage"),
        (lambda k: k, lambda r: r[:-1], "is not whole"),
        (lambda k: k, lambda r: b"\x68" + r[1:], "has 104 elements, and should have 105"),
        (lambda k: "01", lambda r: r, "no list of storages"),
    ],
)
def test_legacy_storages_are_covered(keys: Any, rest: Any, said: str, tmp_path: Path) -> None:
    """A storage that is not in the list is memory that nobody has written."""
    path = tmp_path / "net.pt"
    torch.save({"w": BASE, "v": BASE + 1}, path, _use_new_zipfile_serialization=False)
    pickles, listed, content = _legacy_parts(path)
    path.write_bytes(pickles + pickle.dumps(listed, 2) + content)
    assert_same(read(path), {"w": BASE, "v": BASE + 1})
    path.write_bytes(pickles + pickle.dumps(keys(listed), 2) + rest(content))
    assert said in refusal(path)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (b"[0,420]", b"[0,416]", "starts at byte 420, not 416"),
        (b"[420,840]", b"[424,844]", "starts at byte 424, not 420"),
        (b"[420,840]", b"[0,420]  ", "starts at byte 0, not 420"),
        (b'"F32"', b'"F33"', "unknown type, F33"),
        (b'"F32"', b'"F64"', "has 420 bytes"),
        (b'"v":', b'"w":', "one name twice"),
        (b"[7,5,3]", b"[7,5,-]", "no JSON"),
        (b"[7,5,3]", b"[7,5.3]", "has no shape"),
    ],
)
def test_safetensors_cover_the_file(old: bytes, new: bytes, said: str, tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    safetensors.torch.save_file({"v": BASE, "w": BASE + 1}, path)
    content = path.read_bytes()
    assert old in content
    changed = content.replace(old, new, 1)
    path.write_bytes(int.from_bytes(content[:8], "little").to_bytes(8, "little") + changed[8:])
    if len(new) != len(old):
        length = int.from_bytes(content[:8], "little") + len(new) - len(old)
        path.write_bytes(length.to_bytes(8, "little") + changed[8:])
    assert said in refusal(path)


def test_records_that_share_bytes_or_hide(tmp_path: Path) -> None:
    path = tmp_path / "net.pt"
    torch.save({"w": BASE}, path)
    content = path.read_bytes()
    path.write_bytes(content + b"more")
    assert "follow the end" in refusal(path)
    path.write_bytes(content.replace(b"net/data/0", b"net/data/1", 1))  # its own header only
    assert "not where the directory says" in refusal(path)


def test_the_tables_agree_with_torch() -> None:
    for name, size in element_types.SIZES.items():
        assert torch.empty(0, dtype=getattr(torch, name)).element_size() == size
    for number, name in element_types.EXPORTED.items():
        assert deserialize_scalar_type(number) is getattr(torch, name)
    plain = [prefix for _, _, prefix in exported_program.GROUPS.values()]
    assert plain == [constants.WEIGHT_FILENAME_PREFIX, constants.TENSOR_CONSTANT_FILENAME_PREFIX]
    for group, (folder, ending, _) in exported_program.GROUPS.items():
        kind = group.upper()
        assert getattr(constants, f"{kind}_DIR") == folder
        named = getattr(constants, f"{kind}_CONFIG_FILENAME_FORMAT")
        assert named == folder + "{}" + ending
        assert constants.AOTINDUCTOR_DIR == exported_program.COMPILED
    assert constants.MODELS_DIR == exported_program.MODELS
    assert constants.ARCHIVE_FORMAT_PATH == exported_program.MARK


def test_every_name_that_torch_takes_is_known() -> None:
    from torch._weights_only_unpickler import _get_allowed_globals

    torch.cuda.is_available()  # its storage classes are named only then
    assert set(_get_allowed_globals()) <= set(KNOWN)


def test_the_reader_loads_no_torch() -> None:
    program = (
        "import sys; import cnn_export.untrusted.tensor_files.reader;"
        "print([m for m in ('torch', 'numpy', 'pathlib2') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr


def test_objects_of_which_nothing_is_kept_are_cheap(tmp_path: Path) -> None:
    """Each is an object of its own (a key stays a key), and none a class of its own."""
    day = datetime.date(2020, 1, 1)
    torch.save(
        {"days": [day] * 3, datetime.timedelta(1): 1, datetime.timedelta(2): 2}, tmp_path / "a"
    )
    found = read(tmp_path / "a")
    assert len(found) == 3
    assert [class_name(each) for each in found["days"]] == ["date"] * 3
    assert len({type(each) for each in (*found["days"], list(found)[1])}) == 1
    assert repr(found["days"][0]) == "<date>"
    assert class_name(found) == "dict"


class _Rebuilt:
    """Pickled as a tensor of torch's, or one of its functions, that is then given a state."""

    def __init__(self, *reduced: Any) -> None:
        self.reduced = reduced

    def __reduce__(self) -> Any:
        return self.reduced


TENSOR = torch.zeros(2, 3)


@pytest.mark.parametrize(
    "state", [(None, {"shape": (9, 9)}), (None, {"offset": 2**40}), {"shape": (9, 9)}]
)
def test_no_state_moves_a_tensor(state: Any, tmp_path: Path) -> None:
    made = TENSOR.__reduce_ex__(2)
    torch.save({"w": _Rebuilt(*made[:2], state)}, tmp_path / "a")
    assert "a state for what has none" in refusal(tmp_path / "a")


@pytest.mark.parametrize("meaning", KNOWN.values(), ids=KNOWN)
def test_no_state_changes_what_a_name_means(meaning: Any) -> None:
    with pytest.raises((CheckpointError, TypeError)):
        meaning.__setstate__((None, {"__defaults__": ()}))
