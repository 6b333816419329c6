package org.cnnexport.bench;

import java.util.Map;

/** The runtimes by the host's names; a build may leave some out. */
final class Runtimes {
    private static final String PACKAGE = "org.cnnexport.bench.";
    private static final Map<String, String> CLASSES = Map.of(
        RuntimeArguments.LITERT, "TfLiteRuntime",
        RuntimeArguments.ONNX_RUNTIME, "OrtRuntime",
        RuntimeArguments.EXECUTORCH, "ExecuTorchRuntime");
    private static final Map<String, String> BUILD_NAMES = Map.of(
        RuntimeArguments.LITERT, "tflite",
        RuntimeArguments.ONNX_RUNTIME, "onnxruntime",
        RuntimeArguments.EXECUTORCH, "executorch");

    private Runtimes() {
    }

    /**
     * Returns a runtime by name.
     *
     * @throws Failure unavailable: this build does not hold it
     */
    static Runtime of(String name) throws Failure {
        try {
            return (Runtime) Class.forName(PACKAGE + CLASSES.get(name)).getDeclaredConstructor().newInstance();
        } catch (ReflectiveOperationException absent) {
            throw Failures.unavailable("this build has no runtime " + name
                + "; build the app with it: make app RUNTIMES=" + BUILD_NAMES.get(name));
        }
    }
}
