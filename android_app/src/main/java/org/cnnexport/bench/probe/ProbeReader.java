package org.cnnexport.bench.probe;

import java.io.File;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.regex.Pattern;
import org.cnnexport.bench.errors.Failure;
import org.cnnexport.bench.files.BoundedFiles;
import org.cnnexport.bench.protocol.KeyValues;
import org.cnnexport.bench.runtime.Runtimes;
import org.cnnexport.bench.tensor.ElementType;
import org.cnnexport.bench.tensor.TensorBuffer;

/** Reads a probe file: strict {@code key=value} lines, every number bounded. */
public final class ProbeReader {
    static final int BYTES_MAX = 1 << 20;
    static final int VALUES_MAX = 1 << 28;

    private static final int TENSORS_MAX = 256;
    private static final int RANK_MAX = 8;
    private static final int LEADING_MAX = 16;
    private static final int IMAGE_RANK = 4;
    private static final Pattern SHA256 = Pattern.compile("[0-9a-f]{64}");
    private static final Pattern UNSIGNED = Pattern.compile("[0-9]{1,20}");
    private static final Pattern SIZE = Pattern.compile("[1-9][0-9]{0,9}");

    private final KeyValues pairs;

    private ProbeReader(KeyValues pairs) {
        this.pairs = pairs;
    }

    /**
     * Reads the file.
     *
     * @throws Failure refused: it cannot be read, or a line is not as it must be
     */
    public static ProbeFile read(File file) throws Failure {
        return parse(file.getPath(), BoundedFiles.text(file, BYTES_MAX));
    }

    public static ProbeFile parse(String place, String text) throws Failure {
        if (!text.endsWith("\n")) {
            throw Failure.refused(place + ": the last line is cut off; push it again");
        }
        List<String> lines = Arrays.asList(text.substring(0, text.length() - 1).split("\n", -1));
        ProbeReader reader = new ProbeReader(KeyValues.read(place, Failure.REFUSED, lines));
        ProbeFile probe = reader.probe();
        reader.pairs.requireAllTaken();
        return probe;
    }

    private ProbeFile probe() throws Failure {
        return new ProbeFile(
            pairs.text("name"),
            matching("sha256", SHA256, "64 hexadecimal digits"),
            pairs.choice("runtime", Runtimes.names()),
            seed(),
            pairs.choice("values", List.of("unit", "pixel")).equals("pixel"),
            pairs.decimal("tolerance"),
            inputs(),
            outputs());
    }

    private long seed() throws Failure {
        String text = matching("seed", UNSIGNED, "an unsigned number");
        try {
            return Long.parseUnsignedLong(text);
        } catch (NumberFormatException tooLarge) {
            throw pairs.malformed("seed", "below 2**64", text, "");
        }
    }

    private List<ProbeFile.Input> inputs() throws Failure {
        List<ProbeFile.Input> inputs = new ArrayList<>();
        for (int i = 0; i < TENSORS_MAX && pairs.has("input." + i + ".name"); i++) {
            inputs.add(input("input." + i + "."));
        }
        return atLeastOne(inputs, "input.0.name");
    }

    private ProbeFile.Input input(String prefix) throws Failure {
        long[] shape = shape(prefix + "shape");
        ElementType type = type(prefix + "dtype");
        String layout = pairs.choice(prefix + "layout", List.of("nchw", "nhwc", "none"));
        boolean channelsLast = layout.equals("nhwc");
        if (channelsLast && shape.length != IMAGE_RANK) {
            throw pairs.failure(prefix + "layout nhwc needs " + IMAGE_RANK + " dimensions");
        }
        if ((long) TensorBuffer.count(shape) * type.bytes > Integer.MAX_VALUE) {
            throw pairs.failure(prefix + "shape has more than 2**31 bytes");
        }
        File file = pairs.has(prefix + "file") ? new File(pairs.text(prefix + "file")) : null;
        return new ProbeFile.Input(pairs.text(prefix + "name"), shape, type, channelsLast, file);
    }

    private List<ProbeFile.ExpectedOutput> outputs() throws Failure {
        List<ProbeFile.ExpectedOutput> outputs = new ArrayList<>();
        for (int i = 0; i < TENSORS_MAX && pairs.has("output." + i + ".name"); i++) {
            String prefix = "output." + i + ".";
            outputs.add(new ProbeFile.ExpectedOutput(
                pairs.text(prefix + "name"), shape(prefix + "shape"), type(prefix + "dtype"),
                pairs.decimal(prefix + "rms"), leading(prefix + "values"),
                pairs.has(prefix + "whole") && pairs.flag(prefix + "whole")));
        }
        return atLeastOne(outputs, "output.0.name");
    }

    private <T> List<T> atLeastOne(List<T> found, String key) throws Failure {
        if (found.isEmpty()) {
            throw pairs.failure(key + " is missing");
        }
        return found;
    }

    private ElementType type(String key) throws Failure {
        return ElementType.of(pairs.choice(key, ElementType.labels()));
    }

    /** An empty value is the shape of a scalar. */
    private long[] shape(String key) throws Failure {
        String[] sizes = parts(pairs.text(key));
        long[] shape = new long[sizes.length];
        long count = 1;
        for (int i = 0; i < sizes.length; i++) {
            if (sizes.length > RANK_MAX || !SIZE.matcher(sizes[i]).matches()) {
                throw pairs.malformed(key, "up to 8 positive sizes", pairs.text(key), "");
            }
            shape[i] = Long.parseLong(sizes[i]);
            count = Math.min(count * Math.min(shape[i], VALUES_MAX + 1L), VALUES_MAX + 1L);
        }
        if (count > VALUES_MAX) {
            throw pairs.failure(key + " has more than " + VALUES_MAX
                + " values; export it with a smaller input");
        }
        return shape;
    }

    private double[] leading(String key) throws Failure {
        String[] texts = parts(pairs.text(key));
        if (texts.length > LEADING_MAX) {
            throw pairs.failure(key + " holds more than " + LEADING_MAX + " values");
        }
        double[] values = new double[texts.length];
        for (int i = 0; i < values.length; i++) {
            values[i] = pairs.decimalOf(key, texts[i]);
        }
        return values;
    }

    private static String[] parts(String text) {
        return text.isEmpty() ? new String[0] : text.split(",", -1);
    }

    private String matching(String key, Pattern pattern, String wanted) throws Failure {
        String text = pairs.text(key);
        if (!pattern.matcher(text).matches()) {
            throw pairs.malformed(key, wanted, text, "");
        }
        return text;
    }
}
