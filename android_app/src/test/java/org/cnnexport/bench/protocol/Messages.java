package org.cnnexport.bench.protocol;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Predicate;

/** Strict reader of the messages that {@code benchmarks/results/protocol.py} defines. */
public final class Messages {
    static final int LINE_BYTES_MAX = 4096;

    private static final Predicate<Object> COUNT = v -> v instanceof Long n && n >= 0;
    private static final Predicate<Object> TEXT = v -> v instanceof String;
    private static final Map<String, Map<String, Predicate<Object>>> FIELDS = Map.of(
        "hello", Map.of("protocol", v -> v instanceof Long, "runtime", TEXT, "version", TEXT,
            "threads", v -> v instanceof Long n && n >= 1, "load_ns", COUNT, "first_ns", COUNT),
        "state", Map.of(
            "launch", v -> Set.of("app_process", "activity").contains(v),
            "thermal_status", v -> v == null || COUNT.test(v) && (Long) v <= 6,
            "thermal_headroom", v -> v == null || v instanceof Number n && n.doubleValue() >= 0,
            "cpus_allowed", v -> v == null
                || v instanceof String s && s.matches("[0-9]{1,4}([,-][0-9]{1,4}){0,99}"),
            "available_memory_bytes", v -> v == null || COUNT.test(v)),
        "sample", Map.of("ns", COUNT),
        "pair", Map.of("a_ns", COUNT, "b_ns", COUNT),
        "memory", Map.of("peak_rss_bytes", COUNT,
            "peak_pss_bytes", v -> v == null || COUNT.test(v), "baseline_rss_bytes", COUNT),
        "end", Map.of("count", COUNT, "warm_up", COUNT, "settled", v -> v instanceof Boolean),
        "failure", Map.of("exit_code", v -> v instanceof Long,
            "message", v -> v instanceof String s && s.codePointCount(0, s.length()) <= 1000));
    private static final Map<String, Object> DEFAULTS = defaults();

    private Messages() {
    }

    /** What a message need not say. */
    private static Map<String, Object> defaults() {
        Map<String, Object> values = new LinkedHashMap<>();
        for (String key : List.of("thermal_status", "thermal_headroom", "cpus_allowed",
            "available_memory_bytes", "peak_pss_bytes")) {
            values.put(key, null);
        }
        values.put("warm_up", 0L);
        values.put("settled", true);
        values.put("protocol", (long) KeyValues.PROTOCOL_VERSION);
        return values;
    }

    /**
     * Returns the messages among a stream's lines; a foreign line is skipped, null is damage.
     */
    public static List<Map<String, Object>> of(String stream) {
        List<Map<String, Object>> messages = new ArrayList<>();
        for (String line : stream.split("(?<=\n)")) {
            byte[] bytes = line.getBytes(StandardCharsets.UTF_8);
            int kept = Math.min(bytes.length, LINE_BYTES_MAX + 1);
            if (new String(bytes, 0, kept, StandardCharsets.UTF_8).contains("\"cnn_bench\"")) {
                messages.add(bytes.length > LINE_BYTES_MAX ? null : message(line));
            }
        }
        return messages;
    }

    private static Map<String, Object> message(String line) {
        Map<String, Object> values;
        try {
            values = FlatJson.read(line);
        } catch (IllegalArgumentException damaged) {
            return null;
        }
        Object kind = values.get("cnn_bench");
        if (!(kind instanceof String) || !FIELDS.containsKey(kind)) {
            return null;
        }
        Map<String, Predicate<Object>> fields = FIELDS.get(kind);
        for (String key : values.keySet()) {
            if (!fields.containsKey(key) && !key.equals("cnn_bench")) {
                return null;
            }
        }
        for (Map.Entry<String, Predicate<Object>> field : fields.entrySet()) {
            String key = field.getKey();
            boolean given = values.containsKey(key);
            if (!given && !DEFAULTS.containsKey(key)) {
                return null;
            }
            values.putIfAbsent(key, DEFAULTS.get(key));
            if (!field.getValue().test(values.get(key))) {
                return null;
            }
        }
        return values;
    }
}
