package org.cnnexport.bench.protocol;

/** Writes one flat JSON object as a line. */
final class JsonLine {
    private final StringBuilder text = new StringBuilder("{");

    /** Begins a message of the protocol. */
    static JsonLine message(String kind) {
        return new JsonLine().put("cnn_bench", kind);
    }

    JsonLine put(String key, String value) {
        key(key);
        if (value == null) {
            text.append("null");
        } else {
            quote(value);
        }
        return this;
    }

    JsonLine put(String key, Number value) {
        key(key);
        text.append(value);
        return this;
    }

    JsonLine put(String key, boolean value) {
        key(key);
        text.append(value);
        return this;
    }

    private void key(String key) {
        if (text.length() > 1) {
            text.append(',');
        }
        quote(key);
        text.append(':');
    }

    /** Control characters are escaped, so no device text can trick a terminal or a reader. */
    private void quote(String value) {
        text.append('"');
        for (int i = 0; i < value.length(); i++) {
            char c = value.charAt(i);
            if (c == '"' || c == '\\') {
                text.append('\\').append(c);
            } else if (Character.isISOControl(c)) {
                escape(c);
            } else {
                text.append(c);
            }
        }
        text.append('"');
    }

    private void escape(char c) {
        text.append("\\u");
        for (int shift = 12; shift >= 0; shift -= 4) {
            text.append(Character.forDigit(c >> shift & 0xF, 16));
        }
    }

    /** Returns the line with its newline. */
    String line() {
        return text + "}\n";
    }
}
