package org.cnnexport.bench;

import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * What {@code runtime_arg.K=V} may say, and to which runtime: the host's
 * {@code benchmarks/runtime_arguments.py}, and {@code gpu} for TFLite. NNAPI is not among them.
 */
final class RuntimeArguments {
    static final String LITERT = "ai-edge-litert";
    static final String ONNX_RUNTIME = "onnxruntime";
    static final String EXECUTORCH = "executorch";
    static final List<String> RUNTIMES = List.of(LITERT, ONNX_RUNTIME, EXECUTORCH);

    private static final List<String> SWITCH = List.of("on", "off");
    private static final Map<String, Map<String, List<String>>> CHOICES = Map.of(
        LITERT, Map.of("xnnpack", SWITCH, "gpu", SWITCH),
        ONNX_RUNTIME, Map.of(
            "graph_optimization", List.of("all", "extended", "basic", "off"),
            "spinning", SWITCH,
            "arena", SWITCH),
        EXECUTORCH, Map.of());

    private RuntimeArguments() {
    }

    /** Requires that every argument is known to at least one of the runtimes. */
    static void require(Map<String, String> arguments, List<String> runtimes) throws Failure {
        for (Map.Entry<String, String> argument : arguments.entrySet()) {
            List<String> values = null;
            Set<String> known = new LinkedHashSet<>();
            for (String runtime : runtimes) {
                known.addAll(CHOICES.get(runtime).keySet());
                values = CHOICES.get(runtime).getOrDefault(argument.getKey(), values);
            }
            require(argument.getKey(), argument.getValue(), values, known);
        }
    }

    private static void require(String key, String value, List<String> values, Set<String> known)
        throws Failure {
        String shown = Printable.shortened(key);
        if (values == null) {
            throw Failures.usage("no runtime of these artifacts has an argument '" + shown
                + "' (known: " + (known.isEmpty() ? "none" : String.join(", ", known)) + ")."
                + Nearest.to(shown, known));
        }
        if (!values.contains(value)) {
            throw Failures.usage("runtime_arg." + shown + " is one of "
                + String.join(", ", values) + ", not '" + Printable.shortened(value) + "'");
        }
    }

    /** Returns those of {@code arguments} that {@code runtime} has. */
    static Map<String, String> of(String runtime, Map<String, String> arguments) {
        Map<String, String> own = new LinkedHashMap<>(arguments);
        own.keySet().retainAll(CHOICES.get(runtime).keySet());
        return own;
    }
}
