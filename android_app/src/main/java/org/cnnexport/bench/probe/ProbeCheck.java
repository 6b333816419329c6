package org.cnnexport.bench.probe;

import java.util.Arrays;
import java.util.Locale;
import java.util.Map;
import java.util.TreeSet;
import org.cnnexport.bench.errors.Failure;
import org.cnnexport.bench.tensor.TensorBuffer;

/**
 * Compares a run's outputs with the recorded ones, by the rule of
 * {@code benchmarks/runtimes/probe.py}.
 */
public final class ProbeCheck {
    /** Of the RMS: whole numbers that are equal differ by the rounding of a sum at most. */
    private static final double EQUAL = 1e-12;

    private ProbeCheck() {
    }

    /**
     * Requires the outputs that the probe expects: names, shapes, leading values, RMS.
     *
     * @throws Failure parity: names the output, the error and the limit
     */
    public static void require(ProbeFile probe, Map<String, TensorBuffer> outputs) throws Failure {
        TreeSet<String> expected = new TreeSet<>(probe.outputNames());
        if (!expected.equals(outputs.keySet())) {
            throw Failure.parity(probe.name() + " has outputs " + new TreeSet<>(outputs.keySet())
                + ", its manifest " + expected + "; export it again");
        }
        for (ProbeFile.ExpectedOutput output : probe.outputs()) {
            require(probe, output, outputs.get(output.name()));
        }
    }

    private static void require(ProbeFile probe, ProbeFile.ExpectedOutput expected,
        TensorBuffer actual) throws Failure {
        String place = probe.name() + ": output '" + expected.name() + "'";
        if (!Arrays.equals(expected.shape(), actual.shape())) {
            throw Failure.parity(place + " has shape " + Arrays.toString(actual.shape())
                + ", its manifest says " + Arrays.toString(expected.shape()) + "; export it again");
        }
        double error = relativeError(expected, actual);
        double limit = expected.whole() ? EQUAL : probe.tolerance();
        // A NaN compares false with everything, so it must not be what passes.
        if (!(error <= limit)) {
            throw Failure.parity(place + String.format(Locale.ROOT,
                " is off by %.2g of its RMS on the manifest's probe (limit %.2g); it is not timed",
                error, limit));
        }
    }

    /** The larger error of the leading values and of the RMS, in units of the RMS. */
    static double relativeError(ProbeFile.ExpectedOutput expected, TensorBuffer actual) {
        int count = actual.count();
        double squares = 0;
        double worst = 0;
        for (int i = 0; i < count; i++) {
            double value = actual.type().get(actual.values(), i);
            squares += value * value;
            if (i < expected.values().length) {
                worst = Math.max(worst, Math.abs(value - expected.values()[i]));
            }
        }
        double rms = count == 0 ? 0 : Math.sqrt(squares / count);
        worst = Math.max(worst, Math.abs(rms - expected.rms()));
        return worst / (expected.rms() == 0 ? 1 : expected.rms());
    }
}
