"""Any batch, any number of threads: integers stay what they are."""

import pytest
import torch
from runtime_files import RUNTIMES, Network, decided, spelled, traced, written
from torch import nn
from torch.nn import functional as F

from cnn_export.quantization.emulation.emulate import Emulation
from cnn_export.targets.onnx.runtime import import_onnxruntime

SIZE = (3, 45, 27)


def _residual(x, stem, depthwise, out, head):
    y = F.relu(stem(x))
    y = out(F.hardswish(depthwise(y))) + y
    return head(y.mean((2, 3)))


@pytest.fixture(scope="module", params=RUNTIMES)
def case(request):
    """A network with a dynamic batch in one format."""
    torch.manual_seed(9)
    layers = [
        nn.Conv2d(3, 24, 3, 2, 1),
        nn.Conv2d(24, 24, 3, 1, 1, groups=24),
        nn.Conv2d(24, 24, 1),
        nn.Linear(24, 37),
    ]
    runtime, inputs = RUNTIMES[request.param], torch.randn(4, *SIZE)
    program = traced(Network((_residual, layers)), inputs, dynamic_batch=True)
    program = spelled(runtime, program, decided(program, inputs))
    path = written(runtime.target, program)
    return program, path, Emulation(program.graph_module, runtime.arithmetic), runtime


def test_every_batch_is_equal(case):
    program, path, emulation, runtime = case
    run = runtime.target.load(path)
    for batch in (1, 5, 3):
        inputs = torch.randn(batch, *SIZE, generator=torch.Generator().manual_seed(batch))
        actual = run({program.inputs[0].name: inputs.numpy()})["output"]
        (emulated,) = emulation.run([inputs])
        assert torch.equal(torch.from_numpy(actual), emulated)
        assert len(emulated.unique()) > 10


def test_a_batch_is_its_images_one_by_one(case):
    _, _, emulation, _ = case
    inputs = torch.randn(3, *SIZE, generator=torch.Generator().manual_seed(4))
    (together,) = emulation.run([inputs])
    alone = [emulation.run([image[None]])[0] for image in inputs]
    assert torch.equal(together, torch.cat(alone))


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_threads_change_nothing(case, threads):
    program, path, emulation, runtime = case
    load = {"onnx": _onnx, "tflite": _tflite}.get(runtime.target.name)
    if load is None:
        pytest.skip("ExecuTorch's Python runtime has no such setting")
    inputs = torch.randn(2, *SIZE, generator=torch.Generator().manual_seed(5))
    actual = load(path, threads)(program.inputs[0].name, inputs.numpy())
    assert torch.equal(torch.from_numpy(actual), emulation.run([inputs])[0])


def _onnx(path, threads):
    ort = import_onnxruntime()
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    loaded = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return lambda name, values: loaded.run(None, {name: values})[0]


def _tflite(path, threads):
    from ai_edge_litert.interpreter import Interpreter

    runner = Interpreter(model_path=str(path), num_threads=threads).get_signature_runner()
    return lambda name, values: runner(**{name: values})["output"]
