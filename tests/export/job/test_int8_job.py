"""``--precision int8`` from a module to files: proven, judged, recorded, or refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from cnn_export import export
from cnn_export.benchmarks.artifacts.proven_file import proven_files
from cnn_export.benchmarks.runtimes.probe import probe_inputs, require_probe_outputs
from cnn_export.errors import AccuracyRefused, InputRefused, UsageError
from cnn_export.job.int8.display import int8_summary
from cnn_export.manifest.manifest import read_manifest
from cnn_export.targets import load_target

SHAPE = (3, 19, 23)


class Small(nn.Module):
    """Two layers, a batch norm that does something, a sum, an average and a classifier."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.first = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.norm = nn.BatchNorm2d(8)
        nn.init.uniform_(self.norm.weight, 0.5, 1.5)
        nn.init.normal_(self.norm.bias, 0, 0.3)
        self.norm.running_mean = torch.randn(8) * 0.2
        self.norm.running_var = torch.rand(8) + 0.5
        self.second = nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.head = nn.Linear(8, 5)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        first = torch.relu(self.norm(self.first(image)))
        return self.head((first + self.second(first)).mean((2, 3)))


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("samples") / "images.npz"
    generator = np.random.default_rng(5)
    # Images differ in colour, so that the classifier has something to tell apart.
    colours = generator.standard_normal((160, 3, 1, 1)) * 2
    noise = generator.standard_normal((160, *SHAPE)) * 0.7
    np.savez(path, image=(colours + noise).astype(np.float32))
    return path


def _exported(samples: Path | str, folder: Path, *targets: str, **settings):
    return export(
        Small(),
        targets,
        output=folder,
        input_size=SHAPE[1:],
        precision="int8",
        calibration=samples,
        **settings,
    )


@pytest.mark.parametrize("border", ["float", "int8", "uint8"])
def test_one_decision_is_three_files_that_equal_it(
    samples: Path, tmp_path: Path, border: str
) -> None:
    result = _exported(samples, tmp_path, "onnx", "tflite", "executorch", io=border)
    dtype = {"float": "float32"}.get(border, border)
    for artifact in result.artifacts:
        manifest = read_manifest(artifact.manifest_path)
        assert [each.dtype for each in (*manifest.inputs, *manifest.outputs)] == [dtype] * 2
        assert {figure.limit for figure in manifest.parity.figures} == {0.0}
        assert {figure.max_abs_error for figure in manifest.parity.figures} == {0.0}
        session = load_target(manifest.target).load(artifact.path)
        require_probe_outputs(manifest, session(probe_inputs(manifest)))
        assert (manifest.inputs[0].quantization is None) == (border == "float")
        assert manifest.partitions.partitions == 1
    decisions = [each.manifest.quantization.model_dump() for each in result.artifacts]
    for decision in decisions:
        assert decision["calibration"] == decisions[0]["calibration"]
        assert decision["int8_layers"] == 3


def test_integer_files_answer_what_float_files_do_in_steps(samples: Path, tmp_path: Path) -> None:
    """The scales in the manifest are those of the file: read back, answers are the network's."""
    (artifact,) = _exported(samples, tmp_path, "onnx", io="int8").artifacts
    image = np.load(samples)["image"][:1]
    manifest = artifact.manifest
    scale = manifest.inputs[0].quantization
    steps = np.round(image / scale.scale) + scale.zero_point
    stored = np.clip(steps, -128, 127).astype(np.int8)
    session = load_target("onnx").load(artifact.path)
    answer = next(iter(session({"image": stored}).values()))
    out = manifest.outputs[0].quantization
    real = (answer.astype(np.float64) - out.zero_point) * out.scale
    expected = Small().eval()(torch.from_numpy(image)).detach().numpy()
    assert np.abs(real - expected).max() < 0.1 * np.abs(expected).max()


def test_the_same_data_give_the_same_bytes(samples: Path, tmp_path: Path) -> None:
    pairs = [_exported(samples, tmp_path / name, "onnx", "tflite") for name in "ab"]
    for first, second in zip(*(each.artifacts for each in pairs), strict=True):
        assert first.path.read_bytes() == second.path.read_bytes()
        assert first.manifest == second.manifest


def test_synthetic_samples_are_marked_and_not_judged(tmp_path: Path) -> None:
    result = _exported("synthetic", tmp_path, "onnx")
    record = result.artifact.manifest.quantization
    assert record.calibration.kind == record.evaluation.kind == "synthetic"
    assert all(figure.bound is None for figure in record.accuracy)
    assert any("synthetic" in note for note in result.notes)
    manifest = result.artifact.manifest
    assert "not judged" in " ".join(int8_summary(manifest))
    real = record.evaluation.model_copy(update={"kind": "tensors"})
    judged = record.model_copy(update={"evaluation": real})
    said = " ".join(int8_summary(manifest.model_copy(update={"quantization": judged})))
    assert "not judged" not in said
    assert "synthetic" in said


def test_the_record_of_the_samples_stands_in_file_and_manifest(
    samples: Path, tmp_path: Path
) -> None:
    import onnx

    artifact = _exported(samples, tmp_path, "onnx").artifact
    record = artifact.manifest.quantization
    assert (record.calibration.count, record.evaluation.count) == (120, 40)
    told = {each.key: each.value for each in onnx.load(artifact.path).metadata_props}
    inside = json.loads(told["manifest"])["quantization"]
    assert inside["calibration"]["sha256"] == record.calibration.sha256
    altered = artifact.manifest_path.read_text().replace(record.calibration.sha256, "0" * 64)
    artifact.manifest_path.write_text(altered)

    with pytest.raises(InputRefused, match="quantization"):
        proven_files([artifact.path])


def test_a_layer_kept_float_is_named(samples: Path, tmp_path: Path) -> None:
    artifact = _exported(samples, tmp_path, "onnx", keep_float=["head"]).artifact
    record = artifact.manifest.quantization
    assert record.int8_layers == 2
    assert any("head" in each.reason for each in record.kept_float)


def test_a_network_that_int8_ruins_is_refused_with_its_worst_layer(
    samples: Path, tmp_path: Path
) -> None:
    network = Small()
    with torch.no_grad():  # one channel takes the range of all; the others vanish in it
        network.norm.weight[0] *= 3e4
        network.second.weight[0] *= 0
        network.head.weight[:, 0] *= 0
    with pytest.raises(AccuracyRefused, match="--keep-float"):
        export(
            network,
            "onnx",
            output=tmp_path,
            input_size=SHAPE[1:],
            precision="int8",
            calibration=samples,
        )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"precision": "int8"}, "--calibration"),
        ({"calibration": "synthetic"}, "--precision int8.*, not to fp32"),
        ({"precision": "fp16", "io": "int8"}, "--io applies to --precision int8"),
        ({"precision": "int8", "calibration": "synthetic", "io": "int4"}, "float, int8, uint8"),
        ({"precision": "int8", "calibration": "synthetic", "ranges": "max"}, "percentile:P"),
        ({"precision": "int8", "calibration": "synthetic", "ranges": "percentile:5"}, "99.99"),
        ({"precision": "int8", "calibration": "synthetic", "reparam": False}, "--no-reparam"),
        (
            {"precision": "int8", "calibration": "synthetic", "keep_float": ["haed"]},
            "Did you mean 'head'",
        ),
        (
            {"precision": "int8", "calibration": "synthetic", "keep_float": ["auto", "head"]},
            "auto chooses",
        ),
    ],
)
def test_options_that_do_not_fit_are_refused(settings: dict, said: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=said):
        export(Small(), "onnx", output=tmp_path, input_size=SHAPE[1:], **settings)
    assert list(tmp_path.iterdir()) == []


def test_strict_refuses_what_stays_float(samples: Path, tmp_path: Path) -> None:
    with pytest.raises(InputRefused, match=r"--strict.*mean"):
        _exported(samples, tmp_path, "onnx", strict=True)


class Layers(nn.Module):
    """Nothing but layers and what is fused into them; then perhaps more."""

    def __init__(self, *behind: nn.Module) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.layers = nn.Sequential(
            *(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.Conv2d(6, 6, 1), nn.ReLU(), nn.Conv2d(6, 4, 3)),
            *behind,
        )

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.layers(image)


def test_strict_takes_what_was_asked_to_stay_float(samples: Path, tmp_path: Path) -> None:
    """What has an int8 form and is float because somebody said so is no refusal."""
    settings = {"input_size": SHAPE[1:], "precision": "int8", "calibration": samples}
    settings |= {"strict": True, "keep_float": ["layers.2"], "output": tmp_path}
    done = export(Layers(), "onnx", **settings)
    recorded = read_manifest(done.artifacts[0].manifest_path).quantization
    assert recorded is not None
    assert recorded.int8_layers == 2
    assert "layers.2 is kept float as asked" in [each.reason for each in recorded.kept_float]
    with pytest.raises(InputRefused, match=r"--strict.*softmax"):
        export(Layers(nn.Softmax(1)), "onnx", **settings)


def test_a_fine_tuned_checkpoint_exports_with_its_own_decision(
    samples: Path, tmp_path: Path
) -> None:
    """What a training loop saw is what the file computes, whatever the samples would give."""
    from cnn_export.quantization import prepare

    data = torch.from_numpy(np.load(samples)["image"])
    prepared = prepare(Small().eval(), data[:2], list(data[:24].split(1)))
    checkpoint = tmp_path / "tuned.pt2"
    prepared.save(checkpoint)
    artifact = export(
        checkpoint,
        "onnx",
        output=tmp_path / "out",
        precision="int8",
        calibration=samples,
    ).artifact
    assert artifact.manifest.quantization.ranges == "fine-tuned"
    session = load_target("onnx").load(artifact.path)
    for image in data[:8]:
        answer = next(iter(session({"image": image[None].numpy()}).values()))
        trained = prepared(image[None]).detach().numpy()
        assert np.abs(answer - trained).max() < 0.05 * np.abs(trained).max()
    with pytest.raises(UsageError, match="fine-tuned"):
        export(
            checkpoint,
            "onnx",
            output=tmp_path / "out",
            precision="int8",
            calibration=samples,
            ranges="minmax",
        )


def test_camera_pixels_go_straight_in(tmp_path: Path) -> None:
    """Steps of the input are the pixels' own, in front of a padded layer as well."""
    pixels = np.random.default_rng(6).integers(0, 256, (48, *SHAPE)).astype(np.float32)
    data = tmp_path / "pixels.npz"
    np.savez(data, image=pixels)
    result = export(
        Small(),
        ["onnx", "tflite", "executorch"],
        output=tmp_path,
        input_size=SHAPE[1:],
        precision="int8",
        calibration=data,
        normalize="imagenet",
        io="uint8",
    )
    for artifact in result.artifacts:
        image = artifact.manifest.inputs[0]
        assert (image.dtype, image.quantization.scale, image.quantization.zero_point) == (
            "uint8",
            1.0,
            0,
        )


def test_what_would_stay_float_at_an_integer_border_is_refused(
    samples: Path, tmp_path: Path
) -> None:
    network = nn.Sequential(Small(), nn.Softmax(1))
    with pytest.raises(UsageError, match="would stay float"):
        export(
            network,
            "onnx",
            output=tmp_path,
            shapes={"input": (1, *SHAPE)},
            precision="int8",
            calibration=_renamed(samples, tmp_path, "input"),
            io="int8",
        )


def _renamed(samples: Path, folder: Path, name: str) -> Path:
    path = folder / "renamed.npz"
    np.savez(path, **{name: np.load(samples)["image"]})
    return path


@pytest.mark.parametrize(
    ("target", "settings", "said"),
    [
        ("coreml", {"io": "uint8"}, "does not apply to coreml"),
        ("executorch", {"batch": "dynamic"}, "--batch N"),
    ],
)
def test_what_a_format_cannot_do_is_refused_before_anything_is_read(
    target: str, settings: dict, said: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=said):
        _exported(tmp_path / "nothing.npz", tmp_path, target, **settings)


def test_a_fixed_batch(samples: Path, tmp_path: Path) -> None:
    artifact = _exported(samples, tmp_path, "onnx", batch=4).artifact
    assert artifact.manifest.inputs[0].shape == [4, *SHAPE]
