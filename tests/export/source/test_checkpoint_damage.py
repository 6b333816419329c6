"""Damage to a checkpoint, of every container: refused, or the very tensors that are in the file.

A format with checksums is accepted only with the tensors that were saved. For those without, torch
itself (or safetensors' own library) is asked what the damaged file holds.
"""

from __future__ import annotations

import resource
import struct
import warnings
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import networks
import pytest
import safetensors.torch
import torch
from command_checks import REFUSED
from damage import damaged_bytes
from effort import seeds
from hostile_checkpoints import exported

from cnn_export.__main__ import main
from cnn_export.errors import InputRefused
from cnn_export.source import load_model
from cnn_export.source.files.described import built
from cnn_export.source.files.formats import sniff
from cnn_export.source.files.reading import describe
from cnn_export.untrusted.snapshot import taken
from cnn_export.untrusted.tensor_files.reader import read

THROUGH_THE_PROCESS = 10
THROUGH_THE_COMMAND = 3


def _state() -> dict[str, Any]:
    state = networks.small_net().state_dict()
    return {"state_dict": dict(state), "epoch": 3, "arch": "small", "mean": [0.5, 0.25, 0.125]}


def _zip(path: Path) -> Path:
    torch.save(_state(), path)
    return path


def _legacy(path: Path) -> Path:
    """Write the old format, whose storages are named and ordered by address: here by number."""
    address, seen = torch.UntypedStorage._cdata, dict[int, int]()

    def number(storage: torch.UntypedStorage) -> int:
        return seen.setdefault(address.__get__(storage), 139674370751536 + len(seen))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.UntypedStorage, "_cdata", property(number), raising=False)
        torch.save(_state(), path, _use_new_zipfile_serialization=False)
    return path


def _safetensors(path: Path) -> Path:
    safetensors.torch.save_file(_state()["state_dict"], path, {"arch": "small"})
    return path


WRITERS: dict[str, Callable[[Path], Path]] = {
    "zip": _zip,
    "legacy": _legacy,
    "safetensors": _safetensors,
    "pt2": exported,
}


@pytest.fixture(scope="module")
def intact(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("intact")
    return {kind: write(folder / f"{kind}.pt") for kind, write in WRITERS.items()}


def _read_here(path: Path, *, in_process: bool = False) -> Any:
    """Return what the file holds, by the reader's pure function or in its process."""
    with taken(path) as snapshot:
        kind = sniff(snapshot)
        if in_process:
            description = describe(snapshot, kind)
        else:
            description = read(snapshot.mapping(), path=str(path), kind=kind)
        if "unsafe" in description or description.get("exported"):
            raise InputRefused("it names what could run code")
        return built(description, snapshot)


def _tensors(value: Any, path: str = "") -> Iterator[tuple[str, torch.Tensor]]:
    if isinstance(value, torch.Tensor):
        yield path, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _tensors(item, f"{path}.{key}")
    elif isinstance(value, list | tuple):
        for position, item in enumerate(value):
            yield from _tensors(item, f"{path}.{position}")


def _same(one: Any, other: Any) -> bool:
    ours, theirs = dict(_tensors(one)), dict(_tensors(other))
    return ours.keys() == theirs.keys() and all(
        value.dtype == theirs[name].dtype
        and value.shape == theirs[name].shape
        and torch.equal(_bits(value), _bits(theirs[name]))
        for name, value in ours.items()
    )


def _bits(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.detach().reshape(-1).contiguous().view(torch.uint8)


def _by_the_vendor(kind: str, path: Path) -> Any:
    """Return what the format's own library reads: the independent truth."""
    if kind == "safetensors":
        return safetensors.torch.load_file(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.load(path, weights_only=True, map_location="cpu")


def test_the_old_format_is_written_the_same_each_time(tmp_path: Path) -> None:
    one, other = _legacy(tmp_path / "one.pt"), _legacy(tmp_path / "other.pt")
    assert one.read_bytes() == other.read_bytes()


@pytest.mark.parametrize("kind", WRITERS)
def test_the_intact_file_is_read(kind: str, intact: dict[str, Path]) -> None:
    saved = _read_here(intact[kind], in_process=True)
    assert len(dict(_tensors(saved))) >= 5
    if kind != "pt2":
        assert _same(saved, _by_the_vendor(kind, intact[kind]))
    else:
        program = torch.export.load(intact[kind])
        assert _same(saved["weights"], dict(program.state_dict))


@pytest.fixture
def bounded_memory() -> Iterator[None]:
    """Bound this process's memory for a while, as the reader's is."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + 2**30, hard))
    yield
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


@pytest.mark.usefixtures("bounded_memory")
@pytest.mark.parametrize("kind", WRITERS)
def test_refused_or_the_tensors_of_the_file(
    kind: str, intact: dict[str, Path], tmp_path: Path
) -> None:
    content, saved = intact[kind].read_bytes(), _read_here(intact[kind])
    path, accepted, refusals = tmp_path / "net.pt", 0, list[str]()
    for seed in seeds(2000):
        path.write_bytes(damaged_bytes(content, seed))
        try:
            found = _read_here(path)
        except (InputRefused, MemoryError) as error:  # the latter is a limit of the process
            refusals.append(str(error))
            continue
        accepted += 1
        truth = saved if kind in ("zip", "pt2") else _by_the_vendor(kind, path)
        assert _same(found, truth), f"seed {seed}: other tensors than the file holds"
    assert accepted + len(refusals) == len(seeds(2000))
    assert len(refusals) > 0
    assert not any("\n" in refusal for refusal in refusals)


@pytest.mark.parametrize("kind", WRITERS)
def test_the_process_says_the_same(kind: str, intact: dict[str, Path], tmp_path: Path) -> None:
    content, path = intact[kind].read_bytes(), tmp_path / "net.pt"
    for seed in range(THROUGH_THE_PROCESS):
        path.write_bytes(damaged_bytes(content, seed))
        assert _outcome(path, in_process=True) == _outcome(path, in_process=False), seed


def _outcome(path: Path, *, in_process: bool) -> Any:
    try:
        return sorted(dict(_tensors(_read_here(path, in_process=in_process))))
    except InputRefused as error:
        return str(error)


@pytest.mark.parametrize("kind", WRITERS)
def test_the_command_ends_as_agreed(
    kind: str,
    intact: dict[str, Path],
    tmp_path: Path,
    out: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    content, path = intact[kind].read_bytes(), tmp_path / "net.pt"
    model = [] if kind == "pt2" else ["--model", "networks:SmallNet", "--input", "image=1x3x13x18"]
    for seed in range(THROUGH_THE_COMMAND):
        path.write_bytes(damaged_bytes(content, seed))
        code = main([str(path), "-t", "onnx", *model, "-o", str(out), "--quiet"])
        said = capfd.readouterr().err
        assert code in (0, REFUSED), said
        assert said.count("\n") == (code != 0), said


@pytest.mark.parametrize("kind", ["zip", "pt2"])
def test_flipped_bits_of_tensors_never_pass(
    kind: str, intact: dict[str, Path], tmp_path: Path
) -> None:
    """Every byte of a weight, one bit each, in the formats that have checksums."""
    with taken(intact[kind]) as snapshot:
        description = read(snapshot.mapping(), path="net.pt", kind=sniff(snapshot))
        content = bytes(snapshot.mapping())
    offset, size, _ = description["storages"][0]
    path = tmp_path / "net.pt"
    for position in range(offset, offset + size, max(1, size // 40)):
        flipped = bytearray(content)
        flipped[position] ^= 1 << position % 8
        path.write_bytes(flipped)
        with pytest.raises(InputRefused, match="has other bytes than were saved"):
            load_model(path)


def test_a_program_without_checksums_is_said(tmp_path: Path) -> None:
    path = exported(tmp_path / "net.pt2")
    assert load_model(path).notes == ()
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        place = archive.start_dir
        for entry in archive.infolist():
            content[entry.header_offset + 14 : entry.header_offset + 18] = bytes(4)
            content[place + 16 : place + 20] = bytes(4)
            place += 46 + sum(struct.unpack_from("<3H", content, place + 28))
    path.write_bytes(content)
    assert "without checksums" in " ".join(load_model(path).notes)


def test_a_zip_without_checksums_is_said(tmp_path: Path) -> None:
    path, checksums = tmp_path / "net.pt", torch.serialization.get_crc32_options()
    try:
        torch.serialization.set_crc32_options(False)
        torch.save(networks.small_net().state_dict(), path)
    finally:
        torch.serialization.set_crc32_options(checksums)
    loaded = load_model(path, model="networks:SmallNet")
    assert "without checksums" in " ".join(loaded.notes)
