package org.cnnexport.bench.runtime.executorch;

import java.io.File;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.cnnexport.bench.BuildConfig;
import org.cnnexport.bench.errors.Failure;
import org.cnnexport.bench.runtime.Model;
import org.cnnexport.bench.runtime.Runtime;
import org.cnnexport.bench.tensor.TensorBuffer;
import org.pytorch.executorch.EValue;
import org.pytorch.executorch.Module;
import org.pytorch.executorch.Tensor;

/** {@code .pte} with the delegates that the file itself names. */
public final class ExecuTorchRuntime implements Runtime {
    private static final int NO_ERROR = 0;

    /** The library does not tell its version; the build does. */
    @Override
    public String prepare() throws ClassNotFoundException {
        Class.forName("org.pytorch.executorch.Module");
        return BuildConfig.EXECUTORCH_VERSION;
    }

    @Override
    public Model load(File artifact, Map<String, TensorBuffer> inputs, List<String> outputNames,
        int threads, Map<String, String> arguments) throws Failure {
        List<EValue> values = new ArrayList<>();
        for (TensorBuffer input : inputs.values()) {
            values.add(EValue.from(tensor(input)));
        }
        Module module = Module.load(artifact.getPath(), Module.LOAD_MODE_MMAP, threads);
        int error = module.loadMethod("forward");
        if (error != NO_ERROR) {
            throw Failure.refused("method 'forward' does not load (ExecuTorch error " + error
                + ")");
        }
        return new ExecuTorchModel(module, values.toArray(new EValue[0]), outputNames);
    }

    private static Tensor tensor(TensorBuffer input) throws Failure {
        ByteBuffer values = input.values();
        return switch (input.type()) {
            case FLOAT32 -> Tensor.fromBlob(values.asFloatBuffer(), input.shape());
            case FLOAT64 -> Tensor.fromBlob(values.asDoubleBuffer(), input.shape());
            case INT32 -> Tensor.fromBlob(values.asIntBuffer(), input.shape());
            case INT64 -> Tensor.fromBlob(values.asLongBuffer(), input.shape());
            case INT8 -> Tensor.fromBlob(values, input.shape());
            case UINT8 -> Tensor.fromBlobUnsigned(values, input.shape());
            default -> throw Failure.refused("ExecuTorch's Java API has no input of type "
                + input.type().label() + "; export it with another precision");
        };
    }
}
