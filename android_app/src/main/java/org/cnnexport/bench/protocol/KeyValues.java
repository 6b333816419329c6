package org.cnnexport.bench.protocol;

import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.Pattern;
import org.cnnexport.bench.errors.DidYouMean;
import org.cnnexport.bench.errors.Failure;
import org.cnnexport.bench.errors.Printable;

/**
 * Strict {@code key=value} pairs: the protocol first, each key once, every pair taken.
 *
 * <p>Command line and probe file share it; they differ in the failure a mistake stands for.
 */
public final class KeyValues {
    static final int PROTOCOL_VERSION = 3;

    private static final Pattern WHOLE = Pattern.compile("[0-9]{1,10}");
    private static final Pattern DECIMAL =
        Pattern.compile("-?[0-9]+(\\.[0-9]+)?([eE][-+]?[0-9]{1,3})?");

    private final String place;
    private final int exitCode;
    private final Map<String, String> values = new LinkedHashMap<>();
    private final Set<String> taken = new LinkedHashSet<>();

    private KeyValues(String place, int exitCode) {
        this.place = place;
        this.exitCode = exitCode;
    }

    /**
     * Reads the pairs.
     *
     * @param place what the pairs are, as a message names it
     * @throws Failure with {@code exitCode}: no pair, repeated, or of another protocol
     */
    public static KeyValues read(String place, int exitCode, List<String> texts) throws Failure {
        KeyValues read = new KeyValues(place, exitCode);
        for (String text : texts) {
            read.add(text);
        }
        read.requireProtocol(texts);
        return read;
    }

    private void add(String text) throws Failure {
        int equals = text.indexOf('=');
        if (equals < 1) {
            throw failure("'" + Printable.shortened(text) + "' is not of the form key=value");
        }
        String key = text.substring(0, equals);
        if (values.put(key, text.substring(equals + 1)) != null) {
            throw failure(Printable.shortened(key) + " is given twice; give it once");
        }
    }

    private void requireProtocol(List<String> texts) throws Failure {
        if (texts.isEmpty() || !texts.get(0).startsWith("protocol=")) {
            throw failure("the first pair must be protocol=" + PROTOCOL_VERSION);
        }
        String version = text("protocol");
        if (!version.equals(String.valueOf(PROTOCOL_VERSION))) {
            throw failure("speaks protocol " + Printable.shortened(version) + ", this app "
                + PROTOCOL_VERSION + "; build app and command from one source");
        }
    }

    public boolean has(String key) {
        taken.add(key);
        return values.containsKey(key);
    }

    public String text(String key) throws Failure {
        taken.add(key);
        String value = values.get(key);
        if (value == null) {
            throw missing(key);
        }
        return value;
    }

    /** A pair that nobody taken for may be the missing one, misspelt. */
    private Failure missing(String key) {
        Set<String> left = new LinkedHashSet<>(values.keySet());
        left.removeAll(taken);
        String near = DidYouMean.nearest(key, left);
        return near == null ? failure(key + " is missing") : unknown(near, List.of(key));
    }

    public String choice(String key, List<String> choices) throws Failure {
        String value = text(key);
        if (!choices.contains(value)) {
            throw malformed(key, "one of " + String.join(", ", choices),
                value, DidYouMean.hint(value, choices));
        }
        return value;
    }

    public boolean flag(String key) throws Failure {
        return choice(key, List.of("true", "false")).equals("true");
    }

    int whole(String key, int least, int most) throws Failure {
        String value = text(key);
        long number = WHOLE.matcher(value).matches() ? Long.parseLong(value) : -1;
        if (number < least || number > most) {
            throw malformed(key, "a whole number from " + least + " to " + most, value, "");
        }
        return (int) number;
    }

    /** Returns a finite decimal number. */
    public double decimal(String key) throws Failure {
        return decimalOf(key, text(key));
    }

    public double decimalOf(String key, String value) throws Failure {
        double number = DECIMAL.matcher(value).matches() ? Double.parseDouble(value) : Double.NaN;
        if (Double.isNaN(number) || Double.isInfinite(number)) {
            throw malformed(key, "a decimal number", value, "");
        }
        return number;
    }

    /** Takes every pair whose key begins with {@code prefix}; returns them without it. */
    Map<String, String> under(String prefix) {
        Map<String, String> found = new LinkedHashMap<>();
        for (Map.Entry<String, String> pair : values.entrySet()) {
            if (pair.getKey().startsWith(prefix)) {
                taken.add(pair.getKey());
                found.put(pair.getKey().substring(prefix.length()), pair.getValue());
            }
        }
        return found;
    }

    /** Fails if a pair was given that nobody taken for. */
    public void requireAllTaken() throws Failure {
        for (String key : values.keySet()) {
            if (!taken.contains(key)) {
                throw unknown(key, taken);
            }
        }
    }

    private Failure unknown(String key, Collection<String> known) {
        String shown = Printable.shortened(key);
        return failure("there is no key '" + shown + "'." + DidYouMean.hint(shown, known));
    }

    public Failure malformed(String key, String wanted, String value, String hint) {
        return failure(
            key + " is " + wanted + ", not '" + Printable.shortened(value) + "'." + hint);
    }

    public Failure failure(String message) {
        return new Failure(exitCode, place + ": " + message);
    }
}
