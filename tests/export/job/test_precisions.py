"""``--weights int8`` and the accuracy gate of fp16: proven, judged, recorded, or refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn

from cnn_export import export
from cnn_export.benchmarks.artifacts.proven_file import artifact_record, proven_files
from cnn_export.benchmarks.cost.reading import cost_of, read_costs
from cnn_export.benchmarks.tables.judged_accuracy import accuracy_text
from cnn_export.errors import AccuracyRefused, ParityError, UsageError
from cnn_export.job.int8.display import int8_summary, layer_table
from cnn_export.job.precisions.floats import ArtifactGate
from cnn_export.job.request import ExportResult
from cnn_export.program.program import capture
from cnn_export.quantization import SchemeOptions, prepare
from cnn_export.quantization.calibration.reading import read_calibration
from cnn_export.quantization.calibration.split import judging
from cnn_export.quantization.stage.quantizer import Quantizer
from cnn_export.quantization.stage.samples import Samples
from cnn_export.targets import load_target
from cnn_export.targets.trial import RunningArtifact

SHAPE = (3, 13, 18)
TARGETS = ("onnx", "tflite", "coreml")


class Plain(nn.Module):
    """Nothing that another stage rearranges: what is rounded is the checkpoint's own weights."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(11)
        self.first = nn.Conv2d(3, 32, 3, stride=2, padding=1)
        self.second = nn.Conv2d(32, 32, 3, padding=1, groups=32)
        self.head = nn.Linear(32, 24)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        maps = torch.relu(self.second(nn.functional.relu6(self.first(image))))
        return self.head(maps.mean((2, 3)))


def rounded(network: Plain) -> Plain:
    """Return a copy in float64 whose weights are rounded by hand: a scale per output channel."""
    copy = Plain().double()
    copy.load_state_dict(network.state_dict())
    for layer in (copy.first, copy.second, copy.head):
        weight = layer.weight.detach().numpy()
        largest = np.abs(weight).reshape(len(weight), -1).max(1).astype(np.float32)
        scales = (largest / np.float32(127)).reshape(-1, *[1] * (weight.ndim - 1))
        steps = np.clip(np.rint(weight / scales), -127, 127)
        layer.weight.data = torch.from_numpy((steps * scales).astype(np.float32)).double()
    return copy


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("samples") / "images.npz"
    generator = np.random.default_rng(8)
    colours = generator.standard_normal((48, 3, 1, 1)) * 2
    np.savez(path, image=(colours + generator.standard_normal((48, *SHAPE))).astype(np.float32))
    return path


@pytest.fixture(scope="module")
def result(samples: Path, tmp_path_factory: pytest.TempPathFactory) -> ExportResult:
    return export(
        Plain(),
        TARGETS,
        output=tmp_path_factory.mktemp("weights"),
        input_size=SHAPE[1:],
        weights="int8",
        evaluation=samples,
    )


@pytest.fixture(scope="module")
def plain_bytes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, int]:
    """Bytes that the float32 file of each format moves."""
    folder = tmp_path_factory.mktemp("float32")
    made = export(Plain(), ("onnx", "tflite"), output=folder, input_size=SHAPE[1:]).artifacts
    return {each.manifest.target: read_costs([each.path])[0].mac_bytes for each in made}


def test_files_answer_what_weights_rounded_by_hand_do(result: ExportResult, samples: Path) -> None:
    image = np.load(samples)["image"][:1]
    with torch.no_grad():
        expected = rounded(Plain())(torch.from_numpy(image).double()).numpy()
        exact = Plain()(torch.from_numpy(image)).numpy()
    size = np.sqrt(np.mean(np.square(expected)))
    assert np.abs(exact - expected).max() > 1e-4 * size, "rounding has to show"
    for artifact in result.artifacts:
        (answer,) = (
            load_target(artifact.manifest.target).load(artifact.path)({"image": image}).values()
        )
        assert np.abs(answer - expected).max() < 1e-5 * size
        assert 0 < max(each.limit for each in artifact.manifest.parity.figures) < 1e-4


def test_every_weight_is_a_byte_in_the_file(result: ExportResult) -> None:
    weights = sum(each.weight.numel() for each in Plain().children())
    channels = sum(each.weight.shape[0] for each in Plain().children())
    for manifest, found in proven_files([each.path for each in result.artifacts]):
        assert found.graph is not None
        cost = cost_of(found.graph, Path("file"))
        assert cost.int8_macs == 0
        # Beside them a scale, a zero point and a bias per channel, and a few shapes.
        least, most = weights, weights + 24 * channels + 200
        if manifest.target == "coreml":  # whose constants are widened before anything reads them
            kinds = [each.kind for each in cost.ops]
            assert kinds.count("constexpr_affine_dequantize") == 3
        else:
            assert least < cost.weight_bytes < most


def test_onnx_runtime_widens_weights_at_every_run(
    result: ExportResult, tmp_path: Path, plain_bytes: dict[str, int]
) -> None:
    """Its own profile has every DequantizeLinear of every run; XNNPACK widens at load, once."""
    options = onnxruntime.SessionOptions()
    options.enable_profiling, options.profile_file_prefix = True, str(tmp_path / "profile")
    path = result.artifacts[0].path
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    for _ in range(2):
        session.run(None, {"image": np.zeros((1, *SHAPE), np.float32)})
    events = json.loads(Path(session.end_profiling()).read_bytes())
    nodes = [each["args"]["op_name"] for each in events if each["name"].endswith("_kernel_time")]
    assert nodes.count("DequantizeLinear") == 2 * 3
    assert any("smaller, not faster" in note for note in result.notes)
    onnx, tflite = (read_costs([each.path])[0] for each in result.artifacts[:2])
    widened = [each for each in onnx.ops if each.kind == "DequantizeLinear"]
    weights = sum(each.weight.numel() for each in Plain().children())
    assert sum(each.output_bytes for each in widened) == 4 * weights
    assert sum(each.weight_bytes for each in widened) >= weights
    assert onnx.mac_bytes >= plain_bytes["onnx"] + 5 * weights
    assert tflite.mac_bytes < plain_bytes["tflite"] + weights


def test_one_partition_takes_the_file(result: ExportResult) -> None:
    (tflite,) = (each.manifest for each in result.artifacts if each.manifest.target == "tflite")
    assert (tflite.partitions.partitions, tflite.partitions.outside) == (1, [])


def test_the_record_says_what_was_rounded_and_judged(result: ExportResult) -> None:
    for artifact in result.artifacts:
        manifest, record = artifact.manifest, artifact.manifest.quantization
        assert (manifest.precision, manifest.inputs[0].dtype) == ("int8-weights", "float32")
        assert "rounded to int8" in manifest.parity.reference
        assert (record.int8_layers, record.int8_macs, record.calibration) == (3, 0, None)
        assert (record.evaluation.count, record.judged, record.synthetic) == (48, True, False)
        assert {each.figure for each in record.accuracy if each.bound is not None}
        assert "weights of 3 layers in int8, computed in float32" in " ".join(
            int8_summary(manifest)
        )
    assert result.quantized is not None
    table = layer_table(result.quantized)
    assert [str(each) for each in table.columns[0].cells] == ["first", "second", "head"]
    assert list(table.columns[4].cells) == [
        f"{each.weight.numel() + 4 * each.weight.shape[0]:,}" for each in Plain().children()
    ]


def test_results_hold_what_the_file_was_judged_by(result: ExportResult) -> None:
    ((manifest, found), *_) = proven_files([result.artifacts[0].path])
    record = artifact_record(manifest, found, "plain.onnx", "0123456789abcdef")
    judged = [each for each in manifest.quantization.accuracy if each.bound is not None]
    assert [each.model_dump() for each in record.accuracy] == [each.model_dump() for each in judged]
    assert accuracy_text(record).startswith("agreement 100.0% (")
    assert (record.source.sha256, record.source.approximated) == (manifest.source.sha256, False)
    assert record.source.inputs == [list(SHAPE)]


def test_a_layer_that_rounding_ruins_is_named_and_kept(samples: Path, tmp_path: Path) -> None:
    network = Plain()
    with torch.no_grad():  # a dead feature with a large weight takes all the steps of the others
        network.second.weight[0] = network.second.bias[0] = 0
        network.head.weight[:, 0] = 3e4
    given = {"input_size": SHAPE[1:], "weights": "int8", "evaluation": samples}
    with pytest.raises(AccuracyRefused, match=r"int8 weights is not accurate enough.*'?head"):
        export(network, "onnx", output=tmp_path, **given)
    assert list(tmp_path.iterdir()) == []
    kept = export(network, "onnx", output=tmp_path, keep_float=["auto"], **given).artifact
    record = kept.manifest.quantization
    assert record.int8_layers == 2
    assert [each.reason for each in record.kept_float] == ["head is kept float as asked"]
    assert record.evaluation.count == 24, "the other half chose"


def test_where_no_layer_is_to_blame_no_calibration_is_asked_for(
    samples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Quantizer, "sensitivity", lambda *_: ())
    network = Plain()
    with torch.no_grad():
        network.second.weight[0] = network.second.bias[0] = 0
        network.head.weight[:, 0] = 3e4
    given = {"input_size": SHAPE[1:], "weights": "int8", "evaluation": samples}
    with pytest.raises(AccuracyRefused, match=r"; use --precision fp16$"):
        export(network, "onnx", output=tmp_path, **given)


def test_a_recorded_decision_is_told_to_be_unused(samples: Path, tmp_path: Path) -> None:
    images = torch.from_numpy(np.load(samples)["image"])
    tuned = prepare(Plain().eval(), images[:1], images.split(8), SchemeOptions())
    tuned.save(tmp_path / "tuned.pt2")
    given = {"weights": "int8", "evaluation": samples}
    result = export(tmp_path / "tuned.pt2", "onnx", output=tmp_path / "out", **given)
    assert [note for note in result.notes if "tuned.pt2 was fine-tuned" in note]


def test_noise_judges_nothing(samples: Path, tmp_path: Path) -> None:
    given = {"precision": "fp16", "calibration": samples, "evaluation": "synthetic"}
    (tmp_path / "half").mkdir()
    half = export(Plain(), "onnx", output=tmp_path / "half", input_size=SHAPE[1:], **given).artifact
    assert "not judged: what would judge is synthetic" in " ".join(int8_summary(half.manifest))
    given = {"input_size": SHAPE[1:], "weights": "int8", "evaluation": "synthetic"}
    record = export(Plain(), "onnx", output=tmp_path, **given).artifact.manifest.quantization
    assert (record.judged, record.synthetic) == (False, True)
    assert all(each.bound is None for each in record.accuracy)


def test_fp16_files_are_judged_where_there_are_samples(samples: Path, tmp_path: Path) -> None:
    artifacts = export(
        Plain(),
        ["onnx", "executorch"],
        output=tmp_path,
        input_size=SHAPE[1:],
        precision="fp16",
        calibration=samples,
    ).artifacts
    proven_files([each.path for each in artifacts])
    for artifact in artifacts:
        record = artifact.manifest.quantization
        assert (record.int8_layers, record.evaluation.count) == (0, 48)
        assert any(each.bound is not None for each in record.accuracy)
        assert "torch float64" in artifact.manifest.parity.reference
        assert "fp16, run in" in " ".join(int8_summary(artifact.manifest))


def test_true_classes_are_told_of_the_artifact(samples: Path, tmp_path: Path) -> None:
    images = np.load(samples)["image"]
    with torch.no_grad():
        classes = Plain()(torch.from_numpy(images)).argmax(1).tolist()
    labels = tmp_path / "labels.json"
    labels.write_text(json.dumps({str(index): each for index, each in enumerate(classes)}))
    given = {"precision": "fp16", "evaluation": samples, "labels": labels}
    made = export(Plain(), "onnx", output=tmp_path, input_size=SHAPE[1:], **given).artifact
    named = {each.figure for each in made.manifest.quantization.accuracy}
    assert {"accuracy of fp32", "accuracy of the artifact", "accuracy lost"} < named
    ((manifest, found),) = proven_files([made.path])
    record = artifact_record(manifest, found, "plain.onnx", "0123456789abcdef")
    assert "accuracy 100.0% of fp32's 100.0%, of 48" in accuracy_text(record)


def test_an_artifact_that_answers_otherwise_is_refused(samples: Path) -> None:
    program = capture(Plain().eval(), (torch.zeros(1, *SHAPE),))
    data = read_calibration(samples, program.inputs, None)
    gate = ArtifactGate(program, Samples(judging(data), None), "fp16")
    target = load_target("onnx")

    def backwards(inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        (answer,) = program.graph_module(torch.from_numpy(inputs["image"]))
        return {program.outputs[0].name: -answer.detach().numpy()}

    with pytest.raises(AccuracyRefused, match=r"onnx: fp16 is not accurate enough.*fp32"):
        gate.judged(target, RunningArtifact(Path("a.onnx"), backwards, program, "nchw"))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"weights": "int8"}, "--evaluation DIR"),
        ({"weights": "int4"}, "choose int8"),
        ({"weights": "int8", "precision": "int8"}, "or --precision int8"),
        ({"weights": "int8", "evaluation": "synthetic", "ranges": "mse"}, "--ranges applies"),
        ({"weights": "int8", "evaluation": "synthetic", "io": "uint8"}, "--io applies"),
        ({"weights": "int8", "evaluation": "synthetic", "reparam": False}, "--no-reparam"),
        ({"weights": "int8", "evaluation": "synthetic", "labels": "l.csv"}, "real samples"),
        ({"precision": "fp32", "evaluation": "synthetic"}, "fp16, not to fp32"),
        (
            {"precision": "fp16", "calibration": "a.npz", "evaluation": "./a.npz"},
            "nothing is calibrated for fp16: give --evaluation alone",
        ),
        (
            {"weights": "int8", "calibration": "a.npz", "evaluation": "a.npz"},
            "nothing is calibrated for int8-weights",
        ),
        ({"precision": "fp16", "keep_float": ["head"]}, "--keep-float applies"),
    ],
)
def test_options_that_do_not_fit_are_refused(settings: dict, said: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=said):
        export(Plain(), "onnx", output=tmp_path, input_size=SHAPE[1:], **settings)
    assert list(tmp_path.iterdir()) == []


def test_executorch_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    given = {"input_size": SHAPE[1:], "weights": "int8", "evaluation": tmp_path / "none.npz"}
    with pytest.raises(UsageError, match=r"XNNPACK takes no layer .*that the runtime here"):
        export(Plain(), "all", output=tmp_path, **given)


def test_a_wrong_scale_in_the_file_is_found(
    samples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One channel's scale a hundredth off: a file that no accuracy gate would notice."""
    from cnn_export.targets.onnx import model_proto

    finish = model_proto.finish

    def damaged(model, *rest) -> None:
        nodes = [node for node in model.graph.node if node.op_type == "DequantizeLinear"]
        stored = {each.name: each for each in model.graph.initializer}
        scales = next(each for node in nodes if list((each := stored[node.input[1]]).dims) == [24])
        values = np.frombuffer(scales.raw_data, dtype=np.float32).copy()
        values[3] *= 1.01
        scales.raw_data = values.tobytes()
        finish(model, *rest)

    monkeypatch.setattr(model_proto, "finish", damaged)
    given = {"input_size": SHAPE[1:], "weights": "int8", "evaluation": samples}
    with pytest.raises(ParityError, match="off by"):
        export(Plain(), "onnx", output=tmp_path, **given)
    assert list(tmp_path.iterdir()) == []
