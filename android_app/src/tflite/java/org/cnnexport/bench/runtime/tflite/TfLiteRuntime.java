package org.cnnexport.bench.runtime.tflite;

import java.io.Closeable;
import java.io.File;
import java.util.List;
import java.util.Map;
import org.cnnexport.bench.errors.Failure;
import org.cnnexport.bench.runtime.Model;
import org.cnnexport.bench.runtime.Runtime;
import org.cnnexport.bench.tensor.TensorBuffer;
import org.tensorflow.lite.Delegate;
import org.tensorflow.lite.Interpreter;
import org.tensorflow.lite.TensorFlowLite;

/** {@code .tflite} in the interpreter with XNNPACK. NNAPI is never asked for. */
public final class TfLiteRuntime implements Runtime {
    private static final String GPU_DELEGATE = "org.tensorflow.lite.gpu.GpuDelegate";

    @Override
    public String prepare() {
        TensorFlowLite.init();
        return TensorFlowLite.runtimeVersion();
    }

    /** Loads, resizes the inputs (a dynamic batch needs it) and allocates. */
    @Override
    public Model load(File artifact, Map<String, TensorBuffer> inputs, List<String> outputNames,
        int threads, Map<String, String> arguments) throws Exception {
        Interpreter.Options options = new Interpreter.Options();
        options.setNumThreads(threads);
        options.setUseXNNPACK(!"off".equals(arguments.get("xnnpack")));
        Closeable gpu = "on".equals(arguments.get("gpu")) ? gpuDelegate(options) : () -> { };
        return new TfLiteModel(new Interpreter(artifact, options), gpu, inputs, outputNames);
    }

    /** The delegate's classes come with a library of their own, which a build may leave out. */
    private static Closeable gpuDelegate(Interpreter.Options options) throws Exception {
        try {
            Object delegate = Class.forName(GPU_DELEGATE).getConstructor().newInstance();
            options.addDelegate((Delegate) delegate);
            return (Closeable) delegate;
        } catch (ClassNotFoundException absent) {
            throw Failure.unavailable("runtime_arg.gpu=on needs TFLite's GPU delegate, which this"
                + " build does not hold; build with the Gradle project");
        }
    }
}
