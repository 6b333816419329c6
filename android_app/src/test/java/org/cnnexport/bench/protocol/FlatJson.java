package org.cnnexport.bench.protocol;

import java.util.LinkedHashMap;
import java.util.Map;

/** Reads one JSON object of texts, numbers, truth values and nulls; strict, nothing nested. */
final class FlatJson {
    private final String text;
    private int place;

    private FlatJson(String text) {
        this.text = text;
    }

    /**
     * Returns the object's values; whole numbers as Long, others as Double.
     *
     * @throws IllegalArgumentException it is not such an object
     */
    static Map<String, Object> read(String text) {
        FlatJson reader = new FlatJson(text);
        Map<String, Object> values = reader.object();
        reader.space();
        if (reader.place != text.length()) {
            throw reader.error("more text");
        }
        return values;
    }

    private Map<String, Object> object() {
        Map<String, Object> values = new LinkedHashMap<>();
        take('{');
        do {
            space();
            String key = string();
            take(':');
            values.put(key, value());
            space();
        } while (skip(','));
        take('}');
        return values;
    }

    private Object value() {
        space();
        if (text.startsWith("\"", place)) {
            return string();
        }
        int start = place;
        while (place < text.length() && ",} \r\n\t".indexOf(text.charAt(place)) < 0) {
            place++;
        }
        String word = text.substring(start, place);
        switch (word) {
            case "null":
                return null;
            case "true":
                return true;
            case "false":
                return false;
            default:
                return number(word);
        }
    }

    private Object number(String word) {
        if (word.matches("-?(0|[1-9][0-9]*)")) {
            return Long.parseLong(word);
        }
        if (word.matches("-?(0|[1-9][0-9]*)(\\.[0-9]+)?([eE][-+]?[0-9]+)?")) {
            return Double.parseDouble(word);
        }
        throw error("no value");
    }

    private String string() {
        take('"');
        StringBuilder value = new StringBuilder();
        while (true) {
            char c = next();
            if (c == '"') {
                return value.toString();
            }
            if (c < ' ') {
                throw error("a control character");
            }
            value.append(c == '\\' ? escaped() : c);
        }
    }

    private char escaped() {
        char c = next();
        if (c == 'u') {
            place += 4;
            return (char) Integer.parseInt(text.substring(place - 4, place), 16);
        }
        int known = "\"\\/bfnrt".indexOf(c);
        if (known < 0) {
            throw error("an unknown escape");
        }
        return "\"\\/\b\f\n\r\t".charAt(known);
    }

    private char next() {
        if (place == text.length()) {
            throw error("cut off");
        }
        return text.charAt(place++);
    }

    private void take(char wanted) {
        space();
        if (next() != wanted) {
            throw error("no " + wanted);
        }
    }

    private boolean skip(char wanted) {
        boolean there = place < text.length() && text.charAt(place) == wanted;
        place += there ? 1 : 0;
        return there;
    }

    private void space() {
        while (place < text.length() && " \r\n\t".indexOf(text.charAt(place)) >= 0) {
            place++;
        }
    }

    private IllegalArgumentException error(String what) {
        return new IllegalArgumentException(what + " at " + place);
    }
}
