package org.cnnexport.bench.runtime.onnxruntime;

import ai.onnxruntime.OnnxJavaType;
import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtLoggingLevel;
import ai.onnxruntime.OrtSession;
import java.io.File;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.cnnexport.bench.errors.Failure;
import org.cnnexport.bench.runtime.Model;
import org.cnnexport.bench.runtime.Runtime;
import org.cnnexport.bench.tensor.ElementType;
import org.cnnexport.bench.tensor.TensorBuffer;

/** {@code .onnx} in the CPU provider, operators one after the other. */
public final class OrtRuntime implements Runtime {
    private static final String NO_TELEMETRY = "ORT_DISABLE_TELEMETRY";

    @Override
    public String prepare() throws OrtException {
        disableTelemetry();
        OrtEnvironment environment =
            OrtEnvironment.getEnvironment(OrtLoggingLevel.ORT_LOGGING_LEVEL_ERROR);
        environment.setTelemetry(false);
        return environment.getVersion();
    }

    /**
     * Since 1.29 the library reports to its vendor unless it is told not to before it loads: with
     * threads, files and traffic of its own amid a measurement. (It also crashes on a command line
     * of some 4000 characters.) On a JVM whoever starts it sets the variable.
     */
    private static void disableTelemetry() {
        try {
            Class.forName("android.system.Os")
                .getMethod("setenv", String.class, String.class, boolean.class)
                .invoke(null, NO_TELEMETRY, "1", true);
        } catch (ReflectiveOperationException noAndroid) {
            return;
        }
    }

    @Override
    public Model load(File artifact, Map<String, TensorBuffer> inputs, List<String> outputNames,
        int threads, Map<String, String> arguments) throws Exception {
        OrtEnvironment environment = OrtEnvironment.getEnvironment();
        Map<String, OnnxTensor> tensors = new LinkedHashMap<>();
        for (Map.Entry<String, TensorBuffer> entry : inputs.entrySet()) {
            TensorBuffer input = entry.getValue();
            tensors.put(entry.getKey(), OnnxTensor.createTensor(
                environment, input.values(), input.shape(), typeOf(input.type())));
        }
        try (OrtSession.SessionOptions options = options(threads, arguments)) {
            return new OrtModel(environment.createSession(artifact.getPath(), options), tensors);
        }
    }

    private static OrtSession.SessionOptions options(int threads, Map<String, String> arguments)
        throws OrtException {
        OrtSession.SessionOptions options = new OrtSession.SessionOptions();
        options.setSessionLogLevel(OrtLoggingLevel.ORT_LOGGING_LEVEL_ERROR);
        options.setIntraOpNumThreads(threads);
        options.setInterOpNumThreads(1);
        if (arguments.containsKey("graph_optimization")) {
            options.setOptimizationLevel(level(arguments.get("graph_optimization")));
        }
        if (arguments.containsKey("spinning")) {
            options.addConfigEntry("session.intra_op.allow_spinning",
                arguments.get("spinning").equals("on") ? "1" : "0");
        }
        if (arguments.containsKey("arena")) {
            options.setCPUArenaAllocator(arguments.get("arena").equals("on"));
        }
        return options;
    }

    private static OrtSession.SessionOptions.OptLevel level(String name) {
        return switch (name) {
            case "all" -> OrtSession.SessionOptions.OptLevel.ALL_OPT;
            case "extended" -> OrtSession.SessionOptions.OptLevel.EXTENDED_OPT;
            case "basic" -> OrtSession.SessionOptions.OptLevel.BASIC_OPT;
            default -> OrtSession.SessionOptions.OptLevel.NO_OPT;
        };
    }

    private static OnnxJavaType typeOf(ElementType type) {
        return switch (type) {
            case FLOAT32 -> OnnxJavaType.FLOAT;
            case FLOAT64 -> OnnxJavaType.DOUBLE;
            default -> OnnxJavaType.valueOf(type.label().toUpperCase(Locale.ROOT));
        };
    }

    static ElementType typeOf(OnnxJavaType type) throws Failure {
        return switch (type) {
            case FLOAT -> ElementType.FLOAT32;
            case DOUBLE -> ElementType.FLOAT64;
            case STRING, BFLOAT16, UNKNOWN ->
                throw Failure.refused("an output is of type " + type);
            default -> ElementType.valueOf(type.name());
        };
    }
}
