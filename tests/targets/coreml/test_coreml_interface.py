"""Names, dtypes, images and metadata: what an app sees of a package."""

import json

import numpy as np
import pytest
import torch
from torch import nn

from cnn_export.artifact_files.coreml.package import Package, main_block
from cnn_export.errors import InputRefused
from cnn_export.program.program import capture
from cnn_export.targets.coreml.package import write_package
from cnn_export.targets.coreml.session import picture
from cnn_export.targets.coreml.target import CoreML
from cnn_export.targets.options import TargetOptions


class TwoBranches(nn.Module):
    """Outputs that share a value, repeat an input, and are named like inner values."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)

    def forward(self, image, scale, unused):
        features = self.conv(image)
        pooled = torch.relu(features * scale).mean((2, 3))
        return {
            "mul": pooled,
            "conv2d": features + 1,
            "features": features,
            "again": features[:, :].detach(),
            "echo": image,
            "relu": scale * 2,
        }


INPUTS = (torch.randn(1, 3, 7, 5), torch.randn(1, 4, 1, 1), torch.randn(2, 2))


def export(module, inputs, path, **options):
    CoreML().export(capture(module, inputs), TargetOptions(**options), path)
    return path


@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 1e-5), ("fp16", 1e-2)])
def test_several_inputs_and_outputs(precision, tolerance, tmp_path):
    module = TwoBranches()
    path = export(module, INPUTS, tmp_path / "two.mlpackage", precision=precision)
    feed = dict(zip(["image", "scale", "unused"], INPUTS, strict=True))
    got = CoreML().load(path)({name: value.numpy() for name, value in feed.items()})
    wanted = module.double()(*(value.double() for value in INPUTS))
    assert list(got) == list(wanted)
    for name, value in wanted.items():
        assert got[name].dtype == np.float32
        np.testing.assert_allclose(got[name], value.detach(), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_description_names_the_same_features(precision, tmp_path):
    spec = Package(
        export(TwoBranches(), INPUTS, tmp_path / "a.mlpackage", precision=precision)
    ).model
    assert [feature.name for feature in spec.description.input] == ["image", "scale", "unused"]
    names = ["mul", "conv2d", "features", "again", "echo", "relu"]
    assert [feature.name for feature in spec.description.output] == names
    float32 = spec.description.input[0].type.multiArrayType.dataType
    features = [*spec.description.input, *spec.description.output]
    assert {feature.type.multiArrayType.dataType for feature in features} == {float32}


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_every_value_has_a_name_of_its_own(precision, tmp_path):
    spec = Package(
        export(TwoBranches(), INPUTS, tmp_path / "a.mlpackage", precision=precision)
    ).model
    function, block = main_block(spec)
    values = [named.name for operation in block.operations for named in operation.outputs]
    values += [named.name for named in function.inputs]
    assert len(values) == len(set(values))
    assert list(block.outputs) == [feature.name for feature in spec.description.output]


def test_integer_input_and_output(tmp_path):
    class Lookup(nn.Module):
        def __init__(self):
            super().__init__()
            self.table = nn.Embedding(9, 4)

        def forward(self, index):
            values = self.table(index)
            return {"values": values, "largest": values.argmax(-1)}

    module, index = Lookup(), torch.tensor([[3, 0, 8], [1, 1, 2]])
    path = export(module, (index,), tmp_path / "lookup.mlpackage")
    got = CoreML().load(path)({"index": index.numpy()})
    wanted = module(index)
    np.testing.assert_allclose(got["values"], wanted["values"].detach(), rtol=1e-6)
    assert (got["largest"] == wanted["largest"].numpy()).all()
    with pytest.raises(InputRefused, match=r"index is float32"):
        CoreML().load(path)({"index": index.float().numpy()})


def conv(channels):
    return nn.Conv2d(channels, 4, 3, stride=2)


@pytest.mark.parametrize(("channels", "color_space"), [(1, "GRAYSCALE"), (3, "RGB")])
def test_image_input(channels, color_space, tmp_path):
    x = torch.randint(0, 256, (1, channels, 9, 7)).float()
    module = conv(channels)
    path = export(module, (x,), tmp_path / "image.mlpackage", image_input=True)
    image = Package(path).model.description.input[0].type.imageType
    assert (image.width, image.height) == (7, 9)
    assert image.ColorSpace.Name(image.colorSpace) == color_space
    got = CoreML().load(path)({"input": x.numpy()})["output"]
    np.testing.assert_allclose(got, module.double()(x.double()).detach(), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("shape", [(1, 2, 9, 7), (2, 3, 9, 7), (1, 3, 9)])
def test_image_input_refuses_other_shapes(shape, tmp_path):
    module = nn.ReLU()
    with pytest.raises(InputRefused, match="is no image"):
        export(module, (torch.zeros(shape),), tmp_path / "image.mlpackage", image_input=True)


def test_image_input_refuses_two_inputs_and_a_dynamic_batch(tmp_path):
    options = TargetOptions(image_input=True)
    with pytest.raises(InputRefused, match="needs one input"):
        export(TwoBranches(), INPUTS, tmp_path / "a.mlpackage", image_input=True)
    program = capture(conv(3), (torch.zeros(1, 3, 9, 7),), dynamic_batch=True)
    with pytest.raises(InputRefused, match="fixed batch"):
        CoreML().export(program, options, tmp_path / "b.mlpackage")


def test_picture_holds_the_pixels():
    rgb = np.arange(1 * 3 * 2 * 5, dtype=np.float32).reshape(1, 3, 2, 5)
    image = picture("x", rgb)
    assert (image.size, image.mode) == ((5, 2), "RGB")
    assert image.getpixel((4, 1)) == (9, 19, 29)
    assert picture("x", rgb[:, :1]).mode == "L"
    for bad in (rgb + 0.5, rgb - 1, rgb + 250):
        with pytest.raises(InputRefused, match="whole numbers"):
            picture("x", bad)


def test_metadata_and_nothing_private(tmp_path):
    x = torch.zeros(1, 3, 9, 7)
    path = export(conv(3), (x,), tmp_path / "meta.mlpackage", metadata={"model": "tiny", "b": "2"})
    metadata = Package(path).model.description.metadata
    assert metadata.shortDescription
    assert not metadata.author
    defined = metadata.userDefined
    assert (defined["model"], defined["b"]) == ("tiny", "2")
    assert not [key for key in defined if "date" in key]
    content = b"".join(file.read_bytes() for file in path.rglob("*") if file.is_file())
    for private in (str(tmp_path), "site-packages", __file__, "/home", "/root"):
        assert private.encode() not in content


def test_package_has_the_layout_core_ml_expects(tmp_path):
    path = export(conv(3), (torch.zeros(1, 3, 9, 7),), tmp_path / "files.mlpackage")
    files = sorted(str(file.relative_to(path)) for file in path.rglob("*") if file.is_file())
    inner = "Data/com.apple.CoreML"
    assert files == [f"{inner}/model.mlmodel", f"{inner}/weights/weight.bin", "Manifest.json"]
    manifest = json.loads((path / "Manifest.json").read_text())
    entries = manifest["itemInfoEntries"]
    assert entries[manifest["rootModelIdentifier"]]["name"] == "model.mlmodel"
    assert sorted(entry["path"] for entry in entries.values()) == [
        "com.apple.CoreML/model.mlmodel",
        "com.apple.CoreML/weights",
    ]


def test_program_without_weights(tmp_path):
    x = torch.randn(1, 3, 9, 7)
    path = export(nn.MaxPool2d(2), (x,), tmp_path / "plain.mlpackage")
    got = CoreML().load(path)({"input": x.numpy()})["output"]
    np.testing.assert_array_equal(got, nn.MaxPool2d(2)(x).numpy())


@pytest.mark.parametrize("name", ["class score", "fp32", "0", ""])
def test_unspeakable_output_name_is_refused(name, tmp_path):
    class Named(nn.Module):
        def forward(self, x):
            return {name: x * 2}

    with pytest.raises(InputRefused, match="is no name for a Core ML"):
        export(Named(), (torch.zeros(1, 2),), tmp_path / "name.mlpackage")
    assert not (tmp_path / "name.mlpackage").exists()


def test_output_named_like_an_input_is_refused(tmp_path):
    class Same(nn.Module):
        def forward(self, x):
            return {"x": x * 2}

    with pytest.raises(InputRefused, match="two inputs or outputs are called"):
        export(Same(), (torch.zeros(1, 2),), tmp_path / "same.mlpackage")


@pytest.mark.parametrize("x", [torch.zeros(()), torch.zeros(2, dtype=torch.float64)])
def test_input_that_core_ml_lacks_is_refused(x, tmp_path):
    with pytest.raises(InputRefused, match="which Core ML lacks"):
        export(nn.ReLU(), (x,), tmp_path / "input.mlpackage")


def test_partitions_count_the_computing_ops(tmp_path):
    network = nn.Sequential(conv(3), nn.ReLU(), nn.MaxPool2d(2))
    path = export(network, (torch.zeros(1, 3, 9, 7),), tmp_path / "ops.mlpackage")
    report = CoreML().partitions(path)
    assert (report.delegate, report.partitions, report.delegated_ops) == ("Core ML", 1, 3)
    assert report.outside == ()


def test_written_package_is_not_overwritten(tmp_path):
    path = export(conv(3), (torch.zeros(1, 3, 9, 7),), tmp_path / "once.mlpackage")
    with pytest.raises(FileExistsError):
        write_package(Package(path).model, None, path)
