package org.cnnexport.bench.protocol;

import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** A stream's verdict by {@code benchmarks/results/session.py}: complete, incomplete, failure. */
public final class SessionVerdict {
    private static final int CONSTANT_FROM = 10;
    private static final Map<String, String> MEASUREMENTS =
        Map.of("time", "sample", "pair", "pair", "memory", "memory");

    private SessionVerdict() {
    }

    public static String of(String kind, String stream) {
        List<Map<String, Object>> messages = Messages.of(stream);
        for (Map<String, Object> message : messages) {
            if (message != null && message.get("cnn_bench").equals("failure")) {
                return "failure";
            }
        }
        return !messages.contains(null) && isWhole(MEASUREMENTS.get(kind), messages)
            ? "complete" : "incomplete";
    }

    private static boolean isWhole(String measurement, List<Map<String, Object>> messages) {
        int hellos = measurement.equals("pair") ? 2 : 1;
        int from = hellos;
        int to = messages.size() - 1;
        for (int i = 0; i < hellos; i++) {
            if (!isKind(messages, i, "hello")) {
                return false;
            }
        }
        if (!messages.get(0).get("protocol").equals((long) KeyValues.PROTOCOL_VERSION)
            || to < from || !isKind(messages, to, "end")) {
            return false;
        }
        from += from < to && isKind(messages, from, "state") ? 1 : 0;
        to -= from < to && isKind(messages, to - 1, "state") ? 1 : 0;
        for (int i = from; i < to; i++) {
            if (!isKind(messages, i, measurement)) {
                return false;
            }
        }
        long count = (Long) messages.get(messages.size() - 1).get("count");
        return to > from && count == to - from && isPlausible(messages.subList(from, to));
    }

    private static boolean isKind(List<Map<String, Object>> messages, int place, String kind) {
        return place < messages.size() && messages.get(place).get("cnn_bench").equals(kind);
    }

    private static boolean isPlausible(List<Map<String, Object>> measurements) {
        for (String key : new String[] {"ns", "a_ns", "b_ns"}) {
            Set<Object> distinct = new HashSet<>();
            measurements.forEach(each -> distinct.add(each.get(key)));
            boolean times = measurements.get(0).containsKey(key);
            boolean constant = measurements.size() >= CONSTANT_FROM && distinct.size() == 1;
            if (times && (constant || distinct.contains(0L))) {
                return false;
            }
        }
        return true;
    }
}
