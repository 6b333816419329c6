package org.cnnexport.bench.timing;

import java.util.Arrays;
import java.util.Locale;
import java.util.Map;
import org.cnnexport.bench.runtime.Model;
import org.cnnexport.bench.tensor.TensorBuffer;

/**
 * What the timing loop itself costs, as {@code benchmarks/studies/loop_overhead.py} has it: a
 * model that does nothing is timed. {@code inside} is what a sample holds beyond two adjacent clock
 * calls, {@code around} what a whole turn takes beyond them. Medians over rounds, nanoseconds.
 */
public final class LoopOverhead {
    private static final int ROUNDS = 15;
    private static final double SECONDS = 0.1;
    private static final int CLOCK_CALLS = 10_000;

    private static final class Null implements Model {
        @Override
        public void infer() {
        }

        @Override
        public Map<String, TensorBuffer> outputs() {
            return Map.of();
        }

        @Override
        public void close() {
        }
    }

    private interface Loop {
        TimingLoop.Result run() throws Exception;
    }

    private LoopOverhead() {
    }

    /** Measures, and writes one JSON document. */
    public static void main(String[] arguments) throws Exception {
        Model nothing = new Null();
        String single = figures(() -> TimingLoop.single(nothing, SECONDS, System::nanoTime));
        String pair = figures(
            () -> TimingLoop.pair(nothing, nothing, SECONDS, false, 1, System::nanoTime));
        System.out.printf("{\"single\": %s, \"pair\": %s}%n", single, pair);
    }

    private static String figures(Loop loop) throws Exception {
        double[][] rounds = new double[3][ROUNDS];
        for (int round = 0; round < ROUNDS; round++) {
            double clock = clockNs();
            TimingLoop.Result timed = loop.run();
            rounds[0][round] = clock;
            rounds[1][round] = TimingLoop.median(timed.series()[0], timed.count()) - clock;
            rounds[2][round] = turnNs(loop) - 2 * clock;
        }
        return String.format(Locale.ROOT,
            "{\"clock_ns\": %.1f, \"inside_ns\": %.1f, \"around_ns\": %.1f}",
            median(rounds[0]), median(rounds[1]), median(rounds[2]));
    }

    /** The time of a whole run over its inferences; preparing the arrays is in it too. */
    private static double turnNs(Loop loop) throws Exception {
        long start = System.nanoTime();
        TimingLoop.Result timed = loop.run();
        long whole = System.nanoTime() - start;
        return (double) whole / timed.series().length / (timed.count() + timed.warmUp());
    }

    private static double clockNs() {
        long[] times = new long[CLOCK_CALLS];
        for (int i = 0; i < CLOCK_CALLS; i++) {
            long start = System.nanoTime();
            times[i] = System.nanoTime() - start;
        }
        return TimingLoop.median(times, CLOCK_CALLS);
    }

    private static double median(double[] values) {
        double[] sorted = values.clone();
        Arrays.sort(sorted);
        return sorted[sorted.length / 2];
    }
}
