package org.cnnexport.bench;

import java.io.File;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.pytorch.executorch.EValue;
import org.pytorch.executorch.Module;
import org.pytorch.executorch.Tensor;

/** {@code .pte} with the delegates that the file itself names. */
final class ExecuTorchRuntime implements Runtime {
    private static final int NO_ERROR = 0;

    /** The library does not tell its version; the build does. */
    @Override
    public String prepare() throws ClassNotFoundException {
        Class.forName("org.pytorch.executorch.Module");
        return BuildConfig.EXECUTORCH_VERSION;
    }

    @Override
    public Model load(File artifact, ProbeFile probe, List<ByteBuffer> inputs, int threads,
        Map<String, String> arguments) throws Failure {
        List<EValue> values = new ArrayList<>();
        for (int i = 0; i < inputs.size(); i++) {
            values.add(EValue.from(tensor(probe.inputs().get(i), inputs.get(i))));
        }
        Module module = Module.load(artifact.getPath(), Module.LOAD_MODE_MMAP, threads);
        int error = module.loadMethod("forward");
        if (error != NO_ERROR) {
            throw Failures.refused("method 'forward' does not load (ExecuTorch error " + error
                + ")");
        }
        return new ExecuTorchModel(module, values.toArray(new EValue[0]), probe);
    }

    private static Tensor tensor(TensorSpec spec, ByteBuffer values) throws Failure {
        return switch (spec.type()) {
            case FLOAT32 -> Tensor.fromBlob(values.asFloatBuffer(), spec.shape());
            case FLOAT64 -> Tensor.fromBlob(values.asDoubleBuffer(), spec.shape());
            case INT32 -> Tensor.fromBlob(values.asIntBuffer(), spec.shape());
            case INT64 -> Tensor.fromBlob(values.asLongBuffer(), spec.shape());
            case INT8 -> Tensor.fromBlob(values, spec.shape());
            case UINT8 -> Tensor.fromBlobUnsigned(values, spec.shape());
            default -> throw Failures.refused("ExecuTorch's Java API has no input of type "
                + spec.type().label() + "; export it with another precision");
        };
    }
}
