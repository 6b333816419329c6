package org.cnnexport.bench.timing;

import java.util.Arrays;
import org.cnnexport.bench.runtime.Model;

/**
 * Times single inferences one by one, by the rules and constants of
 * {@code benchmarks/worker/timing_loop.py}.
 *
 * <p>Between two samples stand two clock calls and one store into an array made before: the loop
 * allocates nothing, so that it never brings a garbage collection into an inference. Where Python
 * holds its collector, this asks for a collection once before the lead-in.
 */
public final class TimingLoop {
    static final double SETTLED_WITHIN = 0.02;
    static final double WINDOW_SHARE = 0.1;
    static final int WINDOW_INFERENCES = 3;
    static final int MINIMUM_WINDOWS = 3;
    static final int WARM_UP_INFERENCES_MAX = 20_000;
    static final int LEAD_IN_INFERENCES = 5;
    static final int MINIMUM_SAMPLES = 10;
    static final int MAXIMUM_SAMPLES = 100_000;

    private static final double NS_PER_S = 1e9;

    /**
     * What the loop found.
     *
     * @param series nanoseconds of each inference, one row per artifact; valid up to {@code count}
     * @param warmUp inferences of each artifact before the first sample
     */
    public record Result(long[][] series, int count, int warmUp, boolean settled) {
    }

    private final Model[] order;
    private final long[][] orderSeries;
    private final long[][] series;
    private final int block;
    private final Clock clock;

    private TimingLoop(Model[] models, boolean reversed, int block, Clock clock) {
        this.block = block;
        this.clock = clock;
        series = new long[models.length][MAXIMUM_SAMPLES + block];
        order = models.clone();
        orderSeries = series.clone();
        if (reversed) {
            order[0] = models[1];
            order[1] = models[0];
            orderSeries[0] = series[1];
            orderSeries[1] = series[0];
        }
    }

    /** Times one artifact for at least {@code minTimeSeconds}. */
    public static Result single(Model model, double minTimeSeconds, Clock clock) throws Exception {
        return new TimingLoop(new Model[] {model}, false, 1, clock).run(minTimeSeconds);
    }

    /** Interleaves two artifacts, {@code block} inferences at a time. */
    public static Result pair(Model a, Model b, double minTimeSeconds, boolean bFirst, int block,
        Clock clock) throws Exception {
        return new TimingLoop(new Model[] {a, b}, bFirst, block, clock).run(minTimeSeconds);
    }

    private Result run(double minTimeSeconds) throws Exception {
        WarmUp warmUp = warmUp(minTimeSeconds);
        System.gc();
        int count = warmUp.count() + infer(0, LEAD_IN_INFERENCES, LEAD_IN_INFERENCES);
        int samples = infer(minTimeSeconds, MINIMUM_SAMPLES, MAXIMUM_SAMPLES);
        return new Result(series, samples, count, warmUp.settled());
    }

    private record WarmUp(int count, boolean settled) {
    }

    private WarmUp warmUp(double minTimeSeconds) throws Exception {
        long deadline = clock.nanoseconds() + Math.round(minTimeSeconds * NS_PER_S);
        double[] before = null;
        int count = 0;
        for (int windows = 1; ; windows++) {
            int left = Math.max(1, WARM_UP_INFERENCES_MAX - count);
            int window = infer(WINDOW_SHARE * minTimeSeconds, WINDOW_INFERENCES, left);
            count += window;
            double[] medians = medians(window);
            if (before != null && isSettled(before, medians)) {
                return new WarmUp(count, true);
            }
            boolean late = clock.nanoseconds() - deadline >= 0 && windows >= MINIMUM_WINDOWS;
            if (late || count >= WARM_UP_INFERENCES_MAX) {
                return new WarmUp(count, false);
            }
            before = medians;
        }
    }

    private double[] medians(int count) {
        return Arrays.stream(series).mapToDouble(each -> median(each, count)).toArray();
    }

    public static double median(long[] values, int count) {
        long[] sorted = Arrays.copyOf(values, count);
        Arrays.sort(sorted);
        long upper = sorted[count / 2];
        return count % 2 == 1 ? upper : (sorted[count / 2 - 1] + upper) / 2.0;
    }

    /** Whether no artifact's median moved by more than two percent between windows. */
    static boolean isSettled(double[] before, double[] after) {
        for (int i = 0; i < before.length; i++) {
            if (Math.abs(after[i] - before[i]) > SETTLED_WITHIN * before[i]) {
                return false;
            }
        }
        return true;
    }

    private int infer(double seconds, int minimum, int maximum) throws Exception {
        return order.length == 1
            ? inferOne(seconds, minimum, maximum) : inferInTurns(seconds, minimum, maximum);
    }

    private int inferOne(double seconds, int minimum, int maximum) throws Exception {
        Model model = order[0];
        long[] samples = series[0];
        long deadline = clock.nanoseconds() + Math.round(seconds * NS_PER_S);
        int count = 0;
        while (count < maximum) {
            long start = clock.nanoseconds();
            model.infer();
            long end = clock.nanoseconds();
            samples[count++] = end - start;
            if (end - deadline >= 0 && count >= minimum) {
                break;
            }
        }
        return count;
    }

    private int inferInTurns(double seconds, int minimum, int maximum) throws Exception {
        long deadline = clock.nanoseconds() + Math.round(order.length * seconds * NS_PER_S);
        int count = 0;
        while (count < maximum) {
            for (int turn = 0; turn < order.length; turn++) {
                inferBlock(order[turn], orderSeries[turn], count);
            }
            count += block;
            if (count >= minimum && clock.nanoseconds() - deadline >= 0) {
                break;
            }
        }
        return count;
    }

    private void inferBlock(Model model, long[] samples, int from) throws Exception {
        for (int i = from; i < from + block; i++) {
            long start = clock.nanoseconds();
            model.infer();
            samples[i] = clock.nanoseconds() - start;
        }
    }
}
