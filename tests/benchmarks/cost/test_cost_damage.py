"""Files that cannot be read end in one clear line, whatever is wrong with them."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path

import networks
import numpy as np
import onnx
import pytest
from cost_networks import SUFFIX, cost_here, lowered, save_onnx

from cnn_export.artifact_files.formats import SUFFIXES
from cnn_export.errors import InputRefused
from cnn_export.targets import TARGETS

SPECIFICATION = "Data/com.apple.CoreML/model.mlmodel"
WEIGHTS = "Data/com.apple.CoreML/weights/weight.bin"
IMAGE = {"image": [1, 3, 15, 22]}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A good artifact of every format."""
    folder = tmp_path_factory.mktemp("whole")
    return {t: lowered(networks.small_net(), t, folder, (1, 3, 15, 22)) for t in TARGETS}


def copy(source: Path, folder: Path) -> tuple[Path, Path]:
    """Copy an artifact; return it and the file in it that holds the graph."""
    target = folder / source.name
    if source.is_dir():
        shutil.copytree(source, target, dirs_exist_ok=True)
        return target, target / SPECIFICATION
    shutil.copyfile(source, target)
    return target, target


def refusal(path: Path) -> str:
    with pytest.raises(InputRefused) as caught:
        cost_here(path)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    return message


@pytest.mark.parametrize("target", list(TARGETS))
@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.9, 0.999])
def test_truncated_file(target: str, share: float, whole, tmp_path: Path) -> None:
    path, file = copy(whole[target], tmp_path)
    content = file.read_bytes()
    file.write_bytes(content[: int(len(content) * share)])
    refusal(path)


@pytest.mark.parametrize("target", list(TARGETS))
def test_random_damage_is_read_or_refused(target: str, whole, tmp_path: Path) -> None:
    path, file = copy(whole[target], tmp_path)
    dice = random.Random(5)  # noqa: S311 - no secret
    content, refused = file.read_bytes(), 0
    for _ in range(60):
        damaged = bytearray(content)
        for _ in range(8):
            damaged[dice.randrange(len(damaged))] = dice.randrange(256)
        file.write_bytes(damaged)
        try:
            cost_here(path)
        except InputRefused:
            refused += 1
    assert refused > 0


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_file_of_something_else(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"text{suffix}"
    path.write_text("These are no weights. " * 20)
    refusal(path)
    path.unlink()
    assert "does not exist" in refusal(path)
    path.mkdir()
    refusal(path)


def test_foreign_suffix_names_the_known_ones(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    path.write_bytes(b"x")
    assert all(suffix in refusal(path) for suffix in SUFFIXES)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_renamed_artifact_is_not_believed(suffix: str, whole, tmp_path: Path) -> None:
    other = next(t for t in TARGETS if SUFFIX[t] != suffix and whole[t].is_file())
    path = tmp_path / f"renamed{suffix}"
    shutil.copyfile(whole[other], path)
    refusal(path)


def test_core_ml_weights_missing_or_short(whole, tmp_path: Path) -> None:
    path, _ = copy(whole["coreml"], tmp_path)
    weights = path / WEIGHTS
    content = weights.read_bytes()
    weights.write_bytes(content[: len(content) // 2])
    refusal(path)
    weights.unlink()
    assert "missing" in refusal(path)


def test_core_ml_manifest_missing_or_foreign(whole, tmp_path: Path) -> None:
    path, _ = copy(whole["coreml"], tmp_path)
    (path / "Manifest.json").write_text(json.dumps({"itemInfoEntries": {}}))
    assert "rootModelIdentifier" in refusal(path)
    (path / "Manifest.json").unlink()
    assert "Manifest.json" in refusal(path)


def pointwise(path: Path, weight: np.ndarray, **changes: list[int | str]) -> Path:
    node = onnx.helper.make_node("Conv", ["image", "w"], ["y"])
    inputs = {"image": changes.get("image", IMAGE["image"])}
    return save_onnx(path, [node], inputs, {"y": [1, 4, 15, 22]}, {"w": weight})


def test_onnx_external_weights_missing_or_short(tmp_path: Path) -> None:
    path = pointwise(tmp_path / "m.onnx", np.ones((4, 3, 1, 1), np.float32))
    model = onnx.load(path)
    onnx.save(model, path, save_as_external_data=True, location="w.bin", size_threshold=0)
    assert cost_here(path).macs == 15 * 22 * 12
    (tmp_path / "w.bin").write_bytes(b"\0" * 10)
    assert "'w' holds 10 bytes, its shape needs 48" in refusal(path)
    (tmp_path / "w.bin").unlink()
    assert "its part 'w.bin' is missing" in refusal(path)


def test_onnx_weight_shorter_than_its_shape(tmp_path: Path) -> None:
    path = pointwise(tmp_path / "m.onnx", np.ones((4, 3, 1, 1), np.float32))
    model = onnx.load(path)
    model.graph.initializer[0].raw_data = b"\0" * 7
    onnx.save(model, path)
    assert "holds 7 bytes" in refusal(path)


def test_onnx_shapes_that_contradict_or_are_absurd(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    weight = np.ones((4, 3, 1, 1), np.float32)
    pointwise(path, weight, image=[1, 5, 15])
    refusal(path)
    pointwise(path, weight, image=[1, 3, 2**30, 2**30])
    assert "damaged" in refusal(path)


def test_figures_beyond_what_results_hold_are_refused(tmp_path: Path) -> None:
    """2**56 multiply-accumulates: more than a float, or another reader of JSON, tells exactly."""
    ends = {"x": [2**20, 2**18]}, {"y": [2**20, 2**18]}
    node = onnx.helper.make_node("MatMul", ["x", "w"], ["y"])
    value = onnx.helper.make_tensor_value_info("w", onnx.TensorProto.FLOAT, [2**18, 2**18])
    path = save_onnx(tmp_path / "m.onnx", [node], *ends)
    model = onnx.load(path)
    model.graph.input.append(value)
    onnx.save(model, path)
    assert "make no sense together" in refusal(path)


def test_onnx_shape_that_depends_on_values(tmp_path: Path) -> None:
    nodes = [
        onnx.helper.make_node("NonZero", ["x"], ["n"]),
        onnx.helper.make_node("Cast", ["n"], ["y"], to=onnx.TensorProto.FLOAT),
    ]
    path = save_onnx(tmp_path / "m.onnx", nodes, {"x": [4, 5]}, {"y": [2, "count"]})
    assert "cannot be inferred" in refusal(path)


def test_onnx_unknown_operator_is_stated_and_its_neighbours_counted(tmp_path: Path) -> None:
    nodes = [
        onnx.helper.make_node("Sharpen", ["x"], ["a"], domain="com.acme"),
        onnx.helper.make_node("MatMul", ["a", "w"], ["y"]),
    ]
    weight = {"w": np.ones((6, 2), np.float32)}
    path = save_onnx(tmp_path / "m.onnx", nodes, {"x": ["batch", 6]}, {"y": ["batch", 2]}, weight)
    assert "'a'" in refusal(path)
    model = onnx.load(path)
    model.graph.value_info.append(
        onnx.helper.make_tensor_value_info("a", onnx.TensorProto.FLOAT, ["batch", 6])
    )
    onnx.save(model, path)
    cost = cost_here(path)
    assert cost.unknown_ops == ["com.acme.Sharpen"]
    assert (cost.macs, cost.counted_macs) == (None, 12)
    assert [op.mac_bytes for op in cost.ops] == [4 * (6 + 6), 4 * (6 + 12 + 2)]
