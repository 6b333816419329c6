package org.cnnexport.bench.runtime;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import org.cnnexport.bench.errors.DidYouMean;
import org.cnnexport.bench.errors.Failure;
import org.cnnexport.bench.errors.Printable;

/**
 * The runtimes by the host's names, and what {@code runtime_arg.K=V} may say to each: the host's
 * {@code benchmarks/runtimes/runtime_arguments.py}, and {@code gpu} for TFLite. NNAPI is not among
 * them.
 *
 * <p>A new runtime is an entry here, and a class in a source set and a package of its own.
 */
public final class Runtimes {
    /**
     * One runtime.
     *
     * @param packageName of its classes below this package; also its name to {@code make app}
     * @param arguments the values that each argument may have
     */
    private record Entry(String packageName, String className,
        Map<String, List<String>> arguments) {
    }

    private static final String PACKAGE = "org.cnnexport.bench.runtime.";
    private static final List<String> SWITCH = List.of("on", "off");
    private static final Map<String, Entry> ENTRIES = entries();

    private Runtimes() {
    }

    private static Map<String, Entry> entries() {
        Map<String, Entry> entries = new LinkedHashMap<>();
        entries.put("ai-edge-litert", new Entry("tflite", "TfLiteRuntime",
            Map.of("xnnpack", SWITCH, "gpu", SWITCH)));
        entries.put("onnxruntime", new Entry("onnxruntime", "OrtRuntime", Map.of(
            "graph_optimization", List.of("all", "extended", "basic", "off"),
            "spinning", SWITCH,
            "arena", SWITCH)));
        entries.put("executorch", new Entry("executorch", "ExecuTorchRuntime", Map.of()));
        return entries;
    }

    /** Returns the names of all runtimes, whether or not this build holds them. */
    public static List<String> names() {
        return List.copyOf(ENTRIES.keySet());
    }

    /**
     * Returns a runtime by name.
     *
     * @throws Failure unavailable: this build does not hold it
     */
    public static Runtime of(String name) throws Failure {
        Entry entry = ENTRIES.get(name);
        String type = PACKAGE + entry.packageName() + "." + entry.className();
        try {
            return (Runtime) Class.forName(type).getDeclaredConstructor().newInstance();
        } catch (ReflectiveOperationException absent) {
            throw Failure.unavailable("this build has no runtime " + name
                + "; build the app with it: make app RUNTIMES=" + entry.packageName());
        }
    }

    /** Requires that every argument is known to at least one of the runtimes. */
    public static void requireKnown(Map<String, String> arguments, List<String> runtimes)
        throws Failure {
        for (Map.Entry<String, String> argument : arguments.entrySet()) {
            List<String> values = null;
            Set<String> known = new TreeSet<>();
            for (String runtime : runtimes) {
                Map<String, List<String>> own = ENTRIES.get(runtime).arguments();
                known.addAll(own.keySet());
                values = own.getOrDefault(argument.getKey(), values);
            }
            requireKnown(argument.getKey(), argument.getValue(), values, known);
        }
    }

    private static void requireKnown(String key, String value, List<String> values,
        Set<String> known) throws Failure {
        String shown = Printable.shortened(key);
        if (values == null) {
            throw Failure.usage("no runtime of these artifacts has an argument '" + shown
                + "' (known: " + (known.isEmpty() ? "none" : String.join(", ", known)) + ")."
                + DidYouMean.hint(shown, known));
        }
        if (!values.contains(value)) {
            throw Failure.usage("runtime_arg." + shown + " is one of "
                + String.join(", ", values) + ", not '" + Printable.shortened(value) + "'");
        }
    }

    /** Returns those of {@code arguments} that {@code runtime} has. */
    public static Map<String, String> argumentsOf(String runtime, Map<String, String> arguments) {
        Map<String, String> own = new LinkedHashMap<>(arguments);
        own.keySet().retainAll(ENTRIES.get(runtime).arguments().keySet());
        return own;
    }
}
